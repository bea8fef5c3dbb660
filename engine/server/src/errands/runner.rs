//! The process that starts programs: lines of JSON in, one line out for each program that has ended.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes of one order: a command of the settings and a user's name are far less.
const ORDER_BYTES_MAX: u64 = 64 * 1024;
/// Where programs find others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Run this.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Order {
    pub id: u64,
    /// The program knows him as `$USER` too.
    pub user: String,
    /// Its path and its arguments.
    pub words: Vec<String>,
}

/// It has ended.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
pub(super) struct Answer {
    pub id: u64,
    /// Why it did not end well.
    pub failure: Option<String>,
}

impl Order {
    pub fn line(&self) -> Vec<u8> {
        line(self)
    }
}

impl Answer {
    pub fn parse(line: &str) -> Option<Answer> {
        serde_json::from_str(line).ok()
    }
}

fn line(said: &impl Serialize) -> Vec<u8> {
    // Numbers and texts always have a JSON form.
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Runs what it is told until the other end is closed, or says what it should not. Starts `programs` and nothing else.
pub(super) fn serve(socket: UnixStream, programs: &BTreeSet<String>) {
    let Ok(answers) = socket.try_clone().map(Mutex::new).map(Arc::new) else { return };
    let running = Arc::new(AtomicUsize::new(0));
    let mut orders = BufReader::new(socket);
    while let Ok(Some(order)) = next(&mut orders) {
        let (answers, running, id) = (answers.clone(), running.clone(), order.id);
        let is_known = order.words.first().is_some_and(|program| programs.contains(program));
        let refusal = match (is_known, running.load(Relaxed) < super::RUNNING_MAX) {
            (false, _) => Some("the settings of the start do not name this program: restart the server"),
            (true, false) => Some("too many programs run"),
            (true, true) => None,
        };
        if let Some(why) = refusal {
            say(&answers, &Answer { id, failure: Some(why.to_owned()) });
            continue;
        }
        running.fetch_add(1, Relaxed);
        thread::spawn(move || {
            let end = run(&order).map_err(|error| error.to_string());
            let end = end.and_then(|status| if status.success() { Ok(()) } else { Err(status.to_string()) });
            running.fetch_sub(1, Relaxed);
            say(&answers, &Answer { id, failure: end.err().map(|why| format!("{}: {why}", order.words[0])) });
        });
    }
}

fn next(orders: &mut impl BufRead) -> io::Result<Option<Order>> {
    let mut line = Vec::new();
    orders.by_ref().take(ORDER_BYTES_MAX).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line).ok())
}

fn say(answers: &Mutex<UnixStream>, answer: &Answer) {
    // Nobody is left to hear it, and the next order is none.
    let _gone = answers.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line(answer));
}

fn run(order: &Order) -> io::Result<ExitStatus> {
    let mut command = Command::new(&order.words[0]);
    command.args(&order.words[1..]).env_clear().env("PATH", PATH).env("USER", &order.user).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    if !ends_in_time(&child)? {
        // With what it has started itself.
        kill_process_group(Pid::from_child(&child), Signal::KILL)?;
        child.wait()?;
        return Err(io::Error::other(format!("it did not end within {} s and was killed", super::SECONDS_MAX)));
    }
    child.wait()
}

fn ends_in_time(child: &Child) -> io::Result<bool> {
    let end = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let patience = Timespec { tv_sec: super::SECONDS_MAX as i64, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(&end, PollFlags::IN)], Some(&patience))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of these orders.
    fn answers(programs: &[&str], orders: &[Order]) -> Vec<Answer> {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let programs = programs.iter().map(|p| (*p).to_owned()).collect();
        let runner = thread::spawn(move || serve(theirs, &programs));
        orders.iter().for_each(|order| (&ours).write_all(&order.line()).unwrap());
        let lines = BufReader::new(&ours).lines().take(orders.len());
        let mut answers: Vec<Answer> = lines.map(|line| Answer::parse(&line.unwrap()).unwrap()).collect();
        drop(ours);
        runner.join().unwrap();
        answers.sort_by_key(|answer| answer.id);
        answers
    }

    fn order(id: u64, words: &[&str]) -> Order {
        Order { id, user: "anna".into(), words: words.iter().map(|w| (*w).to_owned()).collect() }
    }

    #[test]
    fn only_what_is_known_is_started() {
        let ran = answers(
            &["/bin/sh", "/none"],
            &[
                order(1, &["/bin/sh", "-c", "test \"$USER $0\" = 'anna x'", "x"]),
                order(2, &["/bin/sh", "-c", "exit 7"]),
                order(3, &["/bin/true"]),
                order(4, &["/none"]),
                order(5, &[]),
            ],
        );
        assert_eq!(ran[0].failure, None);
        assert_eq!(ran[1].failure.as_deref(), Some("/bin/sh: exit status: 7"));
        assert!(ran[2].failure.as_deref().is_some_and(|why| why.contains("restart")), "{ran:?}");
        assert!(ran[3].failure.as_deref().is_some_and(|why| why.contains("No such file")), "{ran:?}");
        assert!(ran[4].failure.is_some());
    }

    #[test]
    fn an_order_has_an_end() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let runner = thread::spawn(move || serve(theirs, &BTreeSet::new()));
        let mut long = order(1, &[&"x".repeat(ORDER_BYTES_MAX as usize)]).line();
        long.truncate(ORDER_BYTES_MAX as usize);
        // It stops listening, and that may be before the last byte.
        let _cut = (&ours).write_all(&long);
        runner.join().unwrap();
    }
}
