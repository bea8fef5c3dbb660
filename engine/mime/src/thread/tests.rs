//! Threads against the steps of RFC 5256 §3 done as they are written, and examples.

use super::*;
use proptest::prelude::*;

/// A message as the plain way sees it. Ids and subjects are small numbers so that they meet often.
#[derive(Clone, Debug)]
struct Mail {
    sent: i64,
    id: Option<u8>,
    references: Vec<u8>,
    subject: u8,
    is_reply: bool,
}

impl Mail {
    fn header(&self) -> String {
        let id = self.id.map_or_else(String::new, |id| format!("Message-ID: <{id}@x>\r\n"));
        let references: String = self.references.iter().map(|id| format!(" <{id}@x>")).collect();
        let field = if self.references.len() == 1 { "In-Reply-To" } else { "References" };
        let subject = match (self.subject, self.is_reply) {
            (0, _) => String::new(),
            (n, reply) => format!("{}subject {n}", if reply { "Re: " } else { "" }),
        };
        format!("Subject: {subject}\r\n{id}{field}:{references}\r\n\r\n")
    }
}

/// A tree the plain way. Nodes own their children; the root is node 0.
struct Plain<'a> {
    mails: &'a [Mail],
    /// Index of the mail, for those that are there.
    mail: Vec<Option<usize>>,
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl Plain<'_> {
    fn node(&mut self, mail: Option<usize>) -> usize {
        self.mail.push(mail);
        self.parent.push(None);
        self.children.push(Vec::new());
        self.mail.len() - 1
    }

    fn is_above(&self, node: usize, mut below: usize) -> bool {
        loop {
            match self.parent[below] {
                _ if below == node => return true,
                None => return false,
                Some(parent) => below = parent,
            }
        }
    }

    fn set_parent(&mut self, node: usize, parent: Option<usize>) {
        if let Some(old) = self.parent[node].take() {
            self.children[old].retain(|&child| child != node);
        }
        if let Some(parent) = parent {
            self.parent[node] = Some(parent);
            self.children[parent].push(node);
        }
    }

    fn key(&self, node: usize) -> (i64, usize) {
        match self.mail[node] {
            Some(mail) => (self.mails[mail].sent, mail),
            None => self.key(self.children[node][0]),
        }
    }

    fn sort(&mut self, node: usize) {
        for child in self.children[node].clone() {
            self.sort(child);
        }
        let mut children = self.children[node].clone();
        children.sort_by_key(|&child| self.key(child));
        self.children[node] = children;
    }

    /// Step 1.
    fn link(&mut self) {
        let mut nodes: Vec<Option<usize>> = vec![None; 256];
        let mails = self.mails;
        for (i, mail) in mails.iter().enumerate() {
            let own = mail.id.map(usize::from).filter(|&id| nodes[id].is_none_or(|node| self.mail[node].is_none()));
            let node = match own.and_then(|id| nodes[id]) {
                Some(node) => node,
                None => self.node(None),
            };
            self.mail[node] = Some(i);
            if let Some(id) = own {
                nodes[id] = Some(node);
            }
            let mut references = Vec::new();
            for &id in &mail.references {
                let found = nodes[usize::from(id)];
                let reference = found.unwrap_or_else(|| self.node(None));
                nodes[usize::from(id)] = Some(reference);
                references.push(reference);
            }
            for pair in references.windows(2) {
                if self.parent[pair[1]].is_none() && !self.is_above(pair[1], pair[0]) {
                    self.set_parent(pair[1], Some(pair[0]));
                }
            }
            self.set_parent(node, None);
            if let Some(&last) = references.last().filter(|&&last| !self.is_above(node, last)) {
                self.set_parent(node, Some(last));
            }
        }
    }

    /// Steps 2 and 3.
    fn prune(&mut self) {
        for node in 1..self.mail.len() {
            if self.parent[node].is_none() {
                self.set_parent(node, Some(0));
            }
        }
        self.prune_below(0);
    }

    fn prune_below(&mut self, node: usize) {
        for child in self.children[node].clone() {
            self.prune_below(child);
            let count = self.children[child].len();
            if self.mail[child].is_none() && (count < 2 || node != 0) {
                self.set_parent(child, None);
                self.children[child].clone().into_iter().for_each(|below| self.set_parent(below, Some(node)));
            }
        }
    }

    fn subject(&self, node: usize) -> u8 {
        self.mails[self.mail[node].unwrap_or_else(|| self.mail[self.children[node][0]].unwrap())].subject
    }

    fn is_reply(&self, node: usize) -> bool {
        self.mail[node].is_some_and(|mail| self.mails[mail].is_reply && self.mails[mail].subject > 0)
    }

    /// Step 5.
    fn join(&mut self) {
        let mut table: Vec<Option<usize>> = vec![None; 256];
        for node in self.children[0].clone() {
            let subject = usize::from(self.subject(node));
            if subject == 0 {
                continue;
            }
            match table[subject] {
                None => table[subject] = Some(node),
                Some(known) => {
                    let better = self.mail[node].is_none() || self.is_reply(known) && !self.is_reply(node);
                    if self.mail[known].is_some() && better {
                        table[subject] = Some(node);
                    }
                }
            }
        }
        for node in self.children[0].clone() {
            let subject = usize::from(self.subject(node));
            let Some(known) = table[subject].filter(|&known| known != node) else { continue };
            match (self.mail[known], self.mail[node]) {
                (None, None) => {
                    self.children[node].clone().into_iter().for_each(|child| self.set_parent(child, Some(known)));
                    self.set_parent(node, None);
                }
                (None, Some(_)) => self.set_parent(node, Some(known)),
                _ if self.is_reply(node) && !self.is_reply(known) => self.set_parent(node, Some(known)),
                _ => {
                    let nobody = self.node(None);
                    self.set_parent(nobody, Some(0));
                    self.set_parent(node, Some(nobody));
                    self.set_parent(known, Some(nobody));
                    table[subject] = Some(nobody);
                }
            }
        }
    }

    fn newest(&self, node: usize) -> i64 {
        let own = self.mail[node].map_or(i64::MIN, |mail| self.mails[mail].sent);
        self.children[node].iter().map(|&child| self.newest(child)).fold(own, i64::max)
    }

    fn write(&self, node: usize, out: &mut Vec<ThreadNode>) {
        for &child in &self.children[node] {
            let number = self.mail[child].map(|mail| mail as u32 + 1);
            out.push(ThreadNode { number, children: self.children[child].len() as u32 });
            self.write(child, out);
        }
    }
}

fn plain(by: ThreadBy, mails: &[Mail]) -> Vec<ThreadNode> {
    let mut tree = Plain { mails, mail: vec![], parent: vec![], children: vec![] };
    tree.node(None);
    if by == ThreadBy::OrderedSubject {
        let mut all: Vec<usize> = (0..mails.len()).collect();
        all.sort_by_key(|&i| (mails[i].subject, mails[i].sent, i));
        for group in all.chunk_by(|&a, &b| mails[a].subject == mails[b].subject) {
            let first = tree.node(Some(group[0]));
            tree.set_parent(first, Some(0));
            for &mail in &group[1..] {
                let node = tree.node(Some(mail));
                tree.set_parent(node, Some(first));
            }
        }
    } else {
        tree.link();
        tree.prune();
    }
    tree.sort_tops_and_below();
    if by == ThreadBy::References {
        tree.join();
        tree.sort(0);
    }
    if by == ThreadBy::Refs {
        let mut tops = tree.children[0].clone();
        tops.sort_by_key(|&top| (tree.newest(top), tree.key(top).1));
        tree.children[0] = tops;
    }
    let mut out = Vec::new();
    tree.write(0, &mut out);
    out
}

impl Plain<'_> {
    /// Step 4, and step 6 for those that have no step 5.
    fn sort_tops_and_below(&mut self) {
        if !self.children[0].is_empty() {
            self.sort(0);
        }
    }
}

fn threads(by: ThreadBy, mails: &[Mail]) -> Vec<ThreadNode> {
    let mut threads = Threads::new(by, Collation::default());
    for (i, mail) in mails.iter().enumerate() {
        threads.push(i as u32 + 1, mail.sent, mail.header().as_bytes());
    }
    threads.finish()
}

fn mail() -> impl Strategy<Value = Mail> {
    let references = prop::collection::vec(0u8..14, 0..5);
    (0i64..6, prop::option::weighted(0.9, 0u8..12), references, 0u8..4, any::<bool>())
        .prop_map(|(sent, id, references, subject, is_reply)| Mail { sent, id, references, subject, is_reply })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn threads_are_what_the_steps_make(mails in prop::collection::vec(mail(), 0..14)) {
        for by in [ThreadBy::OrderedSubject, ThreadBy::References, ThreadBy::Refs] {
            prop_assert_eq!(threads(by, &mails), plain(by, &mails), "{:?}", by);
        }
    }
}

/// In the form of the response.
fn check(by: ThreadBy, headers: &[(i64, &str)], want: &str) {
    let mut threads = Threads::new(by, Collation::default());
    for (i, (sent, header)) in headers.iter().enumerate() {
        threads.push(i as u32 + 1, *sent, format!("{header}\r\n\r\n").as_bytes());
    }
    let nodes = threads.finish().into_iter().map(|node| match node.number {
        Some(number) => format!("{number}/{}", node.children),
        None => format!("-/{}", node.children),
    });
    assert_eq!(nodes.collect::<Vec<_>>().join(" "), want, "{headers:?}");
}

#[test]
fn examples() {
    use ThreadBy::{OrderedSubject, References, Refs};
    let twice = "Message-ID: <a@b>";
    check(References, &[(1, twice), (1, twice)], "1/0 2/0");
    check(
        References,
        &[(1, "Message-ID: <a@b>\r\nSubject: foo"), (2, "Message-ID: <a@b>\r\nSubject: Re: foo")],
        "1/1 2/0",
    );
    check(References, &[(1, "References: <a@b>"), (2, "References: <a@b>")], "-/2 1/0 2/0");
    let circle = [
        (3, "Message-ID: <a@b>"),
        (1, "Message-ID: <b@b>\r\nReferences: <a@b> <c@b>"),
        (2, "Message-ID: <c@b>\r\nReferences: <b@b>"),
    ];
    check(References, &circle, "3/1 2/0 1/0");
    check(Refs, &circle, "3/1 2/0 1/0");
    let newest = [(1, "Message-ID: <a@b>"), (2, ""), (3, "In-Reply-To: <a@b>")];
    check(References, &newest, "1/1 3/0 2/0");
    check(Refs, &newest, "2/0 1/1 3/0");
    let subjects = [(4, "Subject: a"), (2, "Subject: b"), (1, "Subject: Re: a"), (3, "Subject: [x] B"), (5, "")];
    check(OrderedSubject, &subjects, "3/1 1/0 2/1 4/0 5/0");
    check(Refs, &subjects, "3/0 2/0 4/0 1/0 5/0");
    check(References, &[], "");
}

/// Trees of any depth are made and taken apart without recursion.
#[test]
fn a_chain_of_a_hundred_thousand() {
    let chain = 100_000;
    let header = |n: i64| format!("Message-ID: <{n}@x>\r\nReferences: <{}@x>\r\n\r\n", n - 1);
    // Answers before what they answer, and the other way about.
    for backwards in [false, true] {
        for by in [ThreadBy::References, ThreadBy::Refs] {
            let mut threads = Threads::new(by, Collation::default());
            for i in 1..=chain {
                let n = if backwards { chain + 1 - i } else { i };
                threads.push(n as u32, n, header(n).as_bytes());
            }
            let nodes = threads.finish();
            assert_eq!(nodes.len(), chain as usize);
            let last = nodes.len() - 1;
            let in_order = |(i, node): (usize, &ThreadNode)| {
                node.number == Some(i as u32 + 1) && node.children == u32::from(i < last)
            };
            assert!(nodes.iter().enumerate().all(in_order));
        }
    }
}

/// One message that refers to a hundred thousand: those nearest to it are looked at.
#[test]
fn references_beyond_the_limit_are_the_far_ones() {
    let references: String = (0..100_000).map(|n| format!(" <{n}@x>\r\n")).collect();
    let mut threads = Threads::new(ThreadBy::Refs, Collation::default());
    let near = 100_000 - REFERENCES_MAX;
    threads.push(1, 1, format!("Message-ID: <{near}@x>\r\n\r\n").as_bytes());
    threads.push(2, 2, format!("Message-ID: <{}@x>\r\n\r\n", near - 1).as_bytes());
    threads.push(3, 3, format!("References:{references}\r\n").as_bytes());
    let node = |number, children| ThreadNode { number: Some(number), children };
    assert_eq!(threads.finish(), [node(2, 0), node(1, 1), node(3, 0)]);
}

/// RFC 5255 §4.2: subjects are the same by the active comparator.
#[test]
fn one_subject_is_a_matter_of_the_collation() {
    for by in [ThreadBy::OrderedSubject, ThreadBy::References] {
        for (collation, joined) in
            [(Collation::UnicodeCasemap, true), (Collation::AsciiCasemap, true), (Collation::Octet, false)]
        {
            let mut threads = Threads::new(by, collation);
            threads.push(1, 10, b"Subject: Dinner\r\n\r\n");
            threads.push(2, 20, b"Subject: RE: dinner\r\n\r\n");
            assert_eq!(threads.finish().iter().any(|node| node.children > 0), joined, "{by:?} {collation:?}");
        }
    }
}
