//! The table. Add a setting here and nowhere else.

use crate::listener::{CertificateFiles, Listener, TlsMode};
use crate::mailbox_rule::MailboxRule;
use crate::row::{Kind, Reload, Row, Take, choice, settings};
use crate::source::AuthSource;
use crate::virtual_mailbox::VirtualMailbox;
use ipnet::IpNet;
use skein_base::limits;
use std::net::SocketAddr;
use std::path::PathBuf;

choice! {
    /// Who may send a password over a connection without TLS.
    PlaintextWithoutTls {
        /// Clients on this machine only.
        Loopback = "loopback",
        /// Everyone: for closed networks and tests.
        Always = "always",
        /// Nobody.
        Never = "never",
    }
}

choice! {
    /// The oldest version of TLS that is spoken.
    VersionMin {
        /// TLS 1.2, for clients of before 2018.
        Tls12 = "1.2",
        /// TLS 1.3.
        Tls13 = "1.3",
    }
}

choice! {
    /// A SASL mechanism.
    AuthMechanism {
        /// SCRAM-SHA-256, and in TLS SCRAM-SHA-256-PLUS.
        ScramSha256 = "SCRAM-SHA-256",
        /// SCRAM-SHA-1, and in TLS SCRAM-SHA-1-PLUS.
        ScramSha1 = "SCRAM-SHA-1",
        /// By client certificate.
        External = "EXTERNAL",
        /// The password, in TLS.
        Plain = "PLAIN",
        /// The same in an older form.
        Login = "LOGIN",
    }
}

choice! {
    /// What in a client certificate is the user's name.
    CertificateUser {
        /// The first e-mail address among the alternative names.
        Email = "email",
        /// The subject's common name.
        CommonName = "common-name",
    }
}

choice! {
    /// What QUIT does with the messages that a POP3 client has deleted.
    Pop3Delete {
        /// They leave the mailbox.
        Expunge = "expunge",
        /// They get a keyword and are hidden from POP3 only; IMAP clients still see them.
        Flag = "flag",
    }
}

choice! {
    /// What becomes of mail for user+detail@domain.
    DetailMailbox {
        /// It goes to INBOX as all other.
        Off = "off",
        /// It goes to the mailbox of that name, when there is one.
        Existing = "existing",
        /// It goes to the mailbox of that name, which is made and subscribed when there is none.
        Create = "create",
    }
}

choice! {
    /// What a delivered message says of where it came from.
    ReturnPath {
        /// Our Return-Path stands first, and what it came with stays.
        Add = "add",
        /// Our Return-Path stands in place of those it came with.
        Replace = "replace",
    }
}

choice! {
    /// Which address Delivered-To names.
    DeliveredTo {
        /// The user whose mail it became.
        Final = "final",
        /// The address that the sender gave.
        Original = "original",
        /// None: no such header is written.
        None = "none",
    }
}

choice! {
    /// What clients see between the levels of a mailbox name.
    Separator {
        /// A slash.
        Slash = "/",
        /// A dot, as with Courier and Maildir.
        Dot = ".",
    }
}

choice! {
    /// What LIST shows of a namespace.
    NamespaceList {
        /// What is in it.
        Children = "children",
        /// And its prefix, with nothing in it too.
        Yes = "yes",
        /// Nothing, unless it is asked by its prefix.
        No = "no",
    }
}

choice! {
    /// Least severe event that is logged.
    LogLevel {
        /// What went wrong and needs a hand.
        Error = "error",
        /// And what may go wrong soon.
        Warn = "warn",
        /// And each login and delivery.
        Info = "info",
        /// And the steps of each command.
        Debug = "debug",
        /// And everything; slow.
        Trace = "trace",
    }
}

choice! {
    /// Shape of a log line.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line, for machines.
        Json = "json",
    }
}

const fn count(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Integer { min, max, unit }
}

const DAY: u64 = 86_400;
const GIB: u64 = 1 << 30;

settings! {
    {
        /// Folder that holds all mail and state. One server at a time uses it.
        data_dir: PathBuf = Kind::Path, "\"./skein-data\"", Restart;
        /// Shards to run, one core each. 0 is one per core of the machine.
        shards: u16 = count(0, 1024, "shards"), "0", Restart;
        /// Name of this server in greetings and Received lines. Empty is the machine's own name.
        hostname: String = Kind::Text { bytes_max: 255 }, "\"\"", Restart;
        /// Mailboxes of each user by name, at most 256: [mailbox."Trash"] on a line of its own, with / between levels. Each may have
        /// auto = "no" (as without), "create" or "subscribe": it is made at a user's next login where he has none, and subscribed;
        /// special_use = '\Trash', or '\Archive', '\Drafts', '\Junk', '\Sent', '\Important': clients are told what it is for (RFC 6154), unless
        /// the user has said so of another mailbox;
        /// autoexpunge = "30 days", from a second to a hundred years: messages that were saved there longer ago leave it;
        /// autoexpunge_max_mails = 10000: of more messages the oldest leave it.
        /// A star in the name stands for any text, as [mailbox."Trash/*"], for autoexpunge and autoexpunge_max_mails. What is said of a
        /// mailbox by its own name counts alone, otherwise the pattern with the most letters.
        mailbox: Vec<MailboxRule> = Kind::Mailboxes, "{}", Live;
        /// Virtual mailboxes of each user by name, at most 32, each of which shows messages of his others as one list:
        /// [virtual_mailbox."All"] on a line of its own, with / between levels. Each has
        /// query = "UNSEEN SINCE 1-Jan-2026", what is looked for, in the words of IMAP's SEARCH, without numbers, UID, MODSEQ, RECENT, NEW and OLD;
        /// from = ["*", "-Trash*"], the mailboxes where it is looked for, those behind a - left out; a star stands for any text; all as without it;
        /// special_use = '\All' or '\Flagged', or what a mailbox can be for: clients are told (RFC 6154).
        /// They are below namespaces.virtual_prefix.
        virtual_mailbox: Vec<VirtualMailbox> = Kind::Virtuals, "{}", Live;
    }
    /// Where to listen. An empty list turns a service off.
    /// Each entry is "address:port", or a table: { address = "[::]:143" } or { path = "/run/skein/lmtp", mode = "0660",
    /// owner = "skein", group = "postfix" } for a Unix socket, with tls = "none", "starttls" or "implicit" (none on a Unix
    /// socket), cert and key for a certificate of its own, backlog, and proxy = true with proxy_networks = ["10.0.0.0/24"]
    /// for a proxy in front that names the client (PROXY protocol, version 1 or 2).
    listeners: Listeners {
        /// IMAP, with STARTTLS.
        imap: Vec<Listener> = Kind::Listeners(TlsMode::StartTls), "[\"127.0.0.1:1143\"]", Restart;
        /// IMAP inside TLS.
        imaps: Vec<Listener> = Kind::Listeners(TlsMode::Implicit), "[\"127.0.0.1:1993\"]", Restart;
        /// POP3, with STLS.
        pop3: Vec<Listener> = Kind::Listeners(TlsMode::StartTls), "[\"127.0.0.1:1110\"]", Restart;
        /// POP3 inside TLS.
        pop3s: Vec<Listener> = Kind::Listeners(TlsMode::Implicit), "[\"127.0.0.1:1995\"]", Restart;
        /// LMTP, for the mail transfer agent. Whoever reaches it can deliver: keep it on a private network or a Unix socket.
        lmtp: Vec<Listener> = Kind::Listeners(TlsMode::StartTls), "[\"127.0.0.1:1024\"]", Restart;
        /// Health and metrics over HTTP: addresses only, no TLS. Private, like LMTP.
        http: Vec<SocketAddr> = Kind::Addresses, "[\"127.0.0.1:1080\"]", Restart;
    }
    /// How the kernel finds clients that are gone without a word, of all services in listeners but http.
    tcp: Tcp {
        /// Silence on a connection before the kernel asks the client's whether it is there (SO_KEEPALIVE). A client in IDLE is told something more
        /// often (imap.idle_notify_seconds), and then not asked. At most half of tcp.dead_seconds counts. 0: it does not ask.
        keepalive_seconds: u32 = count(0, 32_767, "seconds"), "300", Restart;
        /// Longest time without an answer, to data that was sent or when asked: five times from tcp.keepalive_seconds on (TCP_USER_TIMEOUT). Then
        /// the connection is closed, and no longer one of its user's. Shorter than a train's tunnel is bad for phones.
        dead_seconds: u32 = count(10, 65_534, "seconds"), "600", Restart;
    }
    /// The server's certificates. A reload reads them again.
    tls: Tls {
        /// Certificate chain in PEM, the server's own first.
        /// Empty together with tls.key: a self-signed one is made in the data folder at the first start.
        cert: Option<PathBuf> = Kind::Path, "\"\"", Live;
        /// Private key in PEM.
        key: Option<PathBuf> = Kind::Path, "\"\"", Live;
        /// More certificates: [{ cert = "b.pem", key = "b.key" }]. A client that asks for a host name (SNI) is shown the first
        /// one with that name or a wildcard for it; otherwise it is shown tls.cert.
        certificates: Vec<CertificateFiles> = Kind::Certificates, "[]", Live;
        /// The oldest version of TLS that is spoken. The ciphers are those the TLS library finds good.
        version_min: VersionMin = Kind::Choice(VersionMin::WORDS), "\"1.2\"", Live;
        /// Authorities in PEM that vouch for client certificates. Empty: clients are not asked for one.
        client_ca: Option<PathBuf> = Kind::Path, "\"\"", Live;
    }
    /// Who may log in.
    auth: Auth {
        /// Where users and passwords come from. They are asked in this order until one accepts.
        /// driver = "passwd-file" with path: lines of user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields.
        /// The file is read again when it changes. Of the extra fields user, allow_nets, nologin and reason count.
        /// driver = "static" with users and password: the same password for all of "name" or "test{1..200}".
        /// Each may have, with Dovecot's meanings: result_success (return-ok), result_failure (continue) and
        /// result_internalfail (continue) = return-ok, return-fail, return, continue-ok, continue-fail or continue;
        /// skip = "authenticated" or "unauthenticated"; deny = true, which refuses whom the source knows.
        sources: Vec<AuthSource> = Kind::Sources, "[]", Live;
        /// Master users, in the same form: they log in as "user*master" with their own password, or with another
        /// authorization identity in SASL, and are in the mail of that user.
        masters: Vec<AuthSource> = Kind::Sources, "[]", Live;
        /// What stands between user and master user. Empty: only by authorization identity.
        master_separator: String = Kind::Text { bytes_max: 8 }, "\"*\"", Live;
        /// SASL mechanisms that clients may use. SCRAM works for users whose password is stored as {SCRAM-SHA-256},
        /// {SCRAM-SHA-1} or {PLAIN}; clients that see it offered do not try another one, so offer it when all have that.
        /// EXTERNAL is offered to clients with a certificate that tls.client_ca vouches for.
        mechanisms: Vec<AuthMechanism> = Kind::Words(AuthMechanism::WORDS), "[\"EXTERNAL\", \"PLAIN\", \"LOGIN\"]", Live;
        /// What in a client certificate is the user's name.
        certificate_user: CertificateUser = Kind::Choice(CertificateUser::WORDS), "\"email\"", Live;
        /// Who may send a password without TLS.
        plaintext_without_tls: PlaintextWithoutTls = Kind::Choice(PlaintextWithoutTls::WORDS), "\"loopback\"", Live;
        /// How long a failed login waits for its answer, so that guessing is slow.
        failure_delay_ms: u32 = count(0, 60_000, "milliseconds"), "2000", Live;
        /// True: an address or user with failed logins waits before each next try, 2, 4, 8 and then 15 seconds. The same wrong
        /// password again does not count, and an hour without failure ends it.
        penalty: bool = Kind::Bool, "true", Live;
        /// Clients there never wait and are not counted by address: webmail, proxies, monitoring.
        trusted_networks: Vec<IpNet> = Kind::Networks, "[\"127.0.0.0/8\", \"::1\"]", Live;
        /// How long a source far away may take to answer.
        source_seconds_max: u32 = count(1, 300, "seconds"), "10", Live;
        /// Logins that each shard remembers, so that a known client costs no hash. 0 turns the cache off.
        cache_entries_max: usize = count(0, 10_000_000, "entries"), "20000", Live;
        /// How long an accepted password is remembered. A reload forgets all.
        cache_seconds: u32 = count(0, DAY, "seconds"), "3600", Live;
        /// How long a refused password is remembered.
        cache_negative_seconds: u32 = count(0, DAY, "seconds"), "60", Live;
    }
    /// What one client or user may take from the others.
    limits: Limits {
        /// Largest message, delivered or appended.
        message_bytes_max: u64 = count(1024, limits::MESSAGE_BYTES_MAX_CEILING, "bytes"), "104857600", Live;
        /// Connections of all services together. More are refused with a word why.
        connections_max: usize = count(1, 10_000_000, "connections"), "100000", Live;
        /// Connections of one user, of each service. 0 is no limit.
        connections_per_user_max: u32 = count(0, 1_000_000, "connections"), "50", Live;
        /// Connections from one address, or one IPv6 network of 64 bits, of IMAP and POP3 together. 0 is no limit: many
        /// users may be behind one address. auth.trusted_networks are not counted.
        connections_per_address_max: u32 = count(0, 1_000_000, "connections"), "0", Live;
    }
    /// IMAP sessions.
    imap: Imap {
        /// How long a client may take to log in.
        login_seconds_max: u32 = count(1, 3600, "seconds"), "180", Live;
        /// How long a logged-in client may be silent. RFC 3501 §5.4 asks for at least 30 minutes; IDLE counts as silence.
        idle_seconds_max: u32 = count(60, 7 * DAY, "seconds"), "1800", Live;
        /// How often a client that waits for news (IDLE, NOTIFY) is told "Still here", so that nothing on the way forgets its connection:
        /// mobile networks do after a few minutes. All connections of an address, or of an IPv6 network of 64 bits, are told at the same
        /// moment, so that a phone's radio wakes once. 0 is never.
        idle_notify_seconds: u32 = count(0, DAY, "seconds"), "120", Live;
        /// How to reach whoever runs the server, as a URI: "mailto:help@example.org". Clients read it as /shared/admin of the
        /// server (RFC 5464). Empty: they are not told.
        admin: String = Kind::Text { bytes_max: 1000 }, "\"\"", Live;
        /// True: LITERAL- is offered in place of LITERAL+ (RFC 7888): clients wait before they send a literal of more than 4096
        /// bytes, so that one that is refused is not sent at all.
        literal_minus: bool = Kind::Bool, "false", Live;
        /// At most so many messages by one FETCH, STORE, SEARCH, COPY, MOVE, UID EXPUNGE or APPEND (MESSAGELIMIT, RFC 9738): of more, the
        /// highest are worked on, and clients that know of it go on below. Others see only a part of large mailboxes. RFC 9738 §3 wants no
        /// less than 1000. 0 is no limit.
        message_limit: u32 = count(0, u32::MAX as u64, "messages"), "0", Live;
        /// The same for COPY and APPEND alone (SAVELIMIT), which are refused then. 0 is no limit.
        save_limit: u32 = count(0, u32::MAX as u64, "messages"), "0", Live;
        /// After how long, and how often from then on, a client is told how far a command is that takes long (INPROGRESS). RFC 9585
        /// §4 recommends 10 to 15 seconds; less helps where something on the way gives up earlier. 0: clients are not told.
        progress_ms: u64 = count(0, 3_600_000, "milliseconds"), "10000", Live;
    }
    /// POP3 sessions. Their maildrop is the inbox.
    pop3: Pop3 {
        /// How long a client may take to log in.
        login_seconds_max: u32 = count(1, 3600, "seconds"), "180", Live;
        /// How long a logged-in client may be silent. RFC 1939 §3 asks for at least 10 minutes.
        idle_seconds_max: u32 = count(600, DAY, "seconds"), "600", Live;
        /// True: one POP3 session at a time has a user's maildrop, as RFC 1939 §4 asks; a second one is refused with IN-USE.
        lock: bool = Kind::Bool, "true", Live;
        /// What QUIT does with deleted messages.
        delete_type: Pop3Delete = Kind::Choice(Pop3Delete::WORDS), "\"expunge\"", Live;
        /// Keyword of messages that are deleted for POP3 only, with delete_type = "flag".
        deleted_flag: String = Kind::Text { bytes_max: limits::KEYWORD_BYTES_MAX }, "\"$POP3Deleted\"", Live;
        /// True: LAST tells the highest message that was retrieved, as POP3 had it before RFC 1725.
        last: bool = Kind::Bool, "false", Live;
        /// True: RETR leaves messages unseen, and they stay recent for IMAP clients.
        no_flag_updates: bool = Kind::Bool, "false", Live;
        /// How UIDL's ids are made: %u UID, %v UIDVALIDITY, %g GUID, as Dovecot writes it; X is hexadecimal, 08 the width.
        /// Clients fetch all mail again when their ids change. Dovecot: %08Xu%08Xv. Cyrus: %v.%u, or %u. UW: %08Xv%08Xu.
        uidl_format: String = Kind::Text { bytes_max: 200 }, "\"%08Xu%08Xv\"", Live;
        /// True: a message with an X-UIDL header has that for its id, as other servers wrote it into their mbox files. Senders
        /// can write one too: turn it on for mail that was moved here, not for good.
        reuse_xuidl: bool = Kind::Bool, "false", Live;
    }
    /// Delivery over LMTP.
    lmtp: Lmtp {
        /// Recipients of one message. RFC 5321 §4.5.3.1.8 asks for at least 100.
        recipients_max: usize = count(1, limits::LMTP_RECIPIENTS_MAX as u64, "recipients"), "1000", Live;
        /// How long the sender may be silent. RFC 5321 §4.5.3.2.7 asks for at least 5 minutes.
        idle_seconds_max: u32 = count(1, DAY, "seconds"), "300", Live;
        /// True: where no user has the full address as name, the part before the @ is tried.
        strip_domain: bool = Kind::Bool, "false", Live;
        /// Characters that end the user's part of an address: user+detail@domain. Empty: none does.
        recipient_delimiter: String = Kind::Text { bytes_max: 8 }, "\"+\"", Live;
        /// Whether the detail names a mailbox. What can not be one's name, and mail for which none can be made, goes to INBOX.
        detail_mailbox: DetailMailbox = Kind::Choice(DetailMailbox::WORDS), "\"off\"", Live;
        /// True: a Received header says where a message came from and by which id the log knows it.
        received_header: bool = Kind::Bool, "true", Live;
        /// What Delivered-To says, in a message that one recipient alone gets.
        delivered_to: DeliveredTo = Kind::Choice(DeliveredTo::WORDS), "\"final\"", Live;
        /// True: a recipient whose quota is used up is refused at RCPT, before the message comes.
        rcpt_quota_check: bool = Kind::Bool, "false", Live;
        /// What becomes of a Return-Path that a message comes with.
        return_path: ReturnPath = Kind::Choice(ReturnPath::WORDS), "\"add\"", Live;
        /// Deliveries to one user at a time; more are put off with 451. 0 is no limit.
        user_deliveries_max: u32 = count(0, 100_000, "deliveries"), "10", Live;
        /// Proxies there may say who their client is (XCLIENT) and what they know of a recipient (XRCPTFORWARD). Empty: none
        /// may. With any, whoever reaches a Unix socket may too.
        xclient_networks: Vec<IpNet> = Kind::Networks, "[]", Live;
    }
    /// How messages are found that are to leave by [mailbox."..."] autoexpunge and autoexpunge_max_mails. A user's are looked at when a session of his
    /// ends, at most once a minute, and in a sweep through all accounts.
    autoexpunge: Autoexpunge {
        /// Pause between two sweeps. 0 turns them off: then the mail of who does not come stays.
        sweep_seconds: u32 = count(0, 365 * DAY, "seconds"), "86400", Live;
        /// Accounts of each shard that a sweep looks at in a second. Those that are not in memory are opened for it.
        accounts_per_second: u32 = count(1, 100_000, "accounts"), "20", Live;
    }
    /// What stands before mailbox names, and which mailboxes a user sees beside his own. Prefixes have / between levels and behind them, whatever
    /// clients see. Sessions keep what they began with.
    namespaces: Namespaces {
        /// What clients see between levels. Stored names have / always; a dot within a level is a slash to who sees dots.
        separator: Separator = Kind::Choice(Separator::WORDS), "\"/\"", Live;
        /// What stands before the names of a user's own mailboxes, but INBOX: "INBOX/", with the separator ".", is what Courier's clients know.
        prefix: String = Kind::Text { bytes_max: 100 }, "\"\"", Live;
        /// What stands before the names of other users and of what they share: with "shared/", anna's mailbox Lists is shared/anna/Lists to those who
        /// have a right to it (SETACL). Mailboxes of a user's own that begin so can not be reached. Empty: nothing can be shared.
        shared_prefix: String = Kind::Text { bytes_max: 100 }, "\"\"", Live;
        /// True: each user has a \Seen of his own in mailboxes of others, public ones too, and the owner's stays as it is; he begins with all messages unseen. False:
        /// there is one for all, as Dovecot has it without INDEXPVT.
        shared_seen_apart: bool = Kind::Bool, "true", Live;
        /// True: LIST shows what is shared with anyone, authenticated or a group ($name), beside what is shared with the user by his name, of at most
        /// 64 owners each. Such mailboxes can be opened in any case.
        shared_anyone: bool = Kind::Bool, "false", Live;
        /// True: NAMESPACE does not tell of it.
        shared_hidden: bool = Kind::Bool, "false", Live;
        /// What LIST shows of it: no asks nobody for what he shares unless the client's pattern begins with the prefix.
        shared_list: NamespaceList = Kind::Choice(NamespaceList::WORDS), "\"children\"", Live;
        /// True: users may subscribe to what is shared with them.
        shared_subscriptions: bool = Kind::Bool, "true", Live;
        /// What stands before the mailboxes of public_owner, whom everybody sees so: with "Public/", his mailbox News is Public/News to those who have a
        /// right to it (SETACL News anyone lrs). Empty: there are none.
        public_prefix: String = Kind::Text { bytes_max: 100 }, "\"\"", Live;
        /// The user whose mailboxes those are. He himself has them as his own, and nobody as shared by him.
        public_owner: String = Kind::Text { bytes_max: 254 }, "\"\"", Live;
        /// True: NAMESPACE does not tell of it.
        public_hidden: bool = Kind::Bool, "false", Live;
        /// What LIST shows of it.
        public_list: NamespaceList = Kind::Choice(NamespaceList::WORDS), "\"children\"", Live;
        /// True: users may subscribe to mailboxes in it.
        public_subscriptions: bool = Kind::Bool, "true", Live;
        /// What stands before the names of virtual mailboxes, when there are any. Mailboxes of a user's own that begin so can not be reached then.
        virtual_prefix: String = Kind::Text { bytes_max: 100 }, "\"Virtual/\"", Live;
    }
    /// How much a user may hold. A source of users may say otherwise for one: quota_rule=*:storage=1G, quota_rule2=Trash:storage=+100M,
    /// or quota_storage_size, quota_message_count and quota_mailbox_count.
    quota: Quota {
        /// Bytes of all messages; 0 is no limit.
        storage_bytes: u64 = count(0, i64::MAX as u64, "bytes"), "0", Live;
        /// Messages; 0 is no limit.
        messages: u64 = count(0, i64::MAX as u64, "messages"), "0", Live;
        /// Mailboxes; 0 is no limit.
        mailboxes: u32 = count(0, 10_000_000, "mailboxes"), "0", Live;
        /// Messages of any one mailbox; 0 is no limit.
        mailbox_messages: u32 = count(0, u32::MAX as u64, "messages"), "0", Live;
        /// Bytes by which mail that is delivered may go beyond storage_bytes, so that a user whose mailbox is nearly full notices it before
        /// small messages come through where large ones do not.
        storage_grace_bytes: u64 = count(0, i64::MAX as u64, "bytes"), "10485760", Live;
        /// Rules of single mailboxes with commas between: "Trash:storage=+100M, Junk:ignore". A star in the name stands for any text.
        rules: String = Kind::Text { bytes_max: 4000 }, "\"\"", Live;
        /// Who is told when what a user holds crosses a line: "storage=95% /usr/local/bin/quota-warning 95 %{user}" runs a program when 95 %
        /// of the limit are reached, "-storage=100% https://example.org/quota" posts to an address when it is less again. Of several
        /// lines that one change crosses the first counts. Programs are known from the start on: a new one is run after a restart.
        warnings: Vec<String> = Kind::Texts { max: crate::quota_warning::WARNINGS_MAX }, "[]", Live;
        /// File with the certificates (PEM) of the authorities that https:// addresses of warnings are to be certified by. Empty: those that
        /// the system knows.
        warnings_ca: Option<PathBuf> = Kind::Path, "\"\"", Restart;
        /// What IMAP clients see as the name of the quota root.
        root: String = Kind::Text { bytes_max: 200 }, "\"User quota\"", Live;
        /// What senders and clients are told when it is too much.
        exceeded_text: String = Kind::Text { bytes_max: 200 }, "\"Quota exceeded (mailbox for user is full)\"", Live;
    }
    /// What the server tells about itself.
    log: Log {
        /// Least severe event that is logged.
        level: LogLevel = Kind::Choice(LogLevel::WORDS), "\"info\"", Live;
        /// Other levels for parts of the server, as "skein_store=debug, skein_serve=warn". The parts are the crates, and
        /// modules in them as skein_serve::lmtp; what begins so is meant too.
        modules: String = Kind::Text { bytes_max: 1000 }, "\"\"", Live;
        /// Shape of a line.
        format: LogFormat = Kind::Choice(LogFormat::WORDS), "\"text\"", Restart;
    }
    /// Sessions of chosen users as they went over the wire, to find out what a client does.
    rawlog: Rawlog {
        /// Folder with a folder for each user whose IMAP and POP3 sessions are written down from the login on: make one named
        /// as the user, owned by the server's user, and remove it when done. Mail is in these files; passwords are left out.
        /// Empty: rawlog in the data folder. Elsewhere, name it in safety.folders too.
        folder: Option<PathBuf> = Kind::Path, "\"\"", Live;
        /// Size of each file at which it ends; a session has one in each direction.
        file_bytes_max: u64 = count(1024, 1024 * GIB, "bytes"), "10485760", Live;
        /// Files of one user; the oldest make room.
        files_max: usize = count(2, 1_000_000, "files"), "200", Live;
        /// True: the time is written before each line, in seconds since 1970.
        timestamps: bool = Kind::Bool, "true", Live;
    }
    /// The shard logs and snapshots.
    store: Store {
        /// Size at which a shard's log begins a new segment file. Smaller ones are drained sooner, larger ones cost fewer files.
        segment_bytes: u64 = count(1 << 20, 2 * GIB, "bytes"), "268435456", Restart;
        /// Changes to one account, each message that comes among them, after which a snapshot is due, so that opening it replays no more.
        snapshot_ops: u32 = count(1, 10_000_000, "changes"), "1000", Live;
        /// Bytes of log that each shard keeps before its oldest part is drained into packs. Mail that is expunged before is never
        /// written a second time; what is kept is read at a start.
        log_keep_bytes: u64 = count(0, 1024 * GIB, "bytes"), "1073741824", Live;
        /// Age at which a part of the log is drained however little there is.
        log_keep_seconds: u32 = count(1, 365 * DAY, "seconds"), "3600", Live;
        /// Bytes of log of each shard above which messages are taken only as fast as the log is drained.
        log_bytes_max: u64 = count(1 << 24, 1024 * GIB, "bytes"), "8589934592", Live;
        /// Size at which an account's mail goes on in another pack. Smaller ones are compacted in smaller steps.
        pack_bytes: u64 = count(1 << 16, 4 * GIB, "bytes"), "67108864", Live;
        /// Bytes that stay free on the disk of the data folder: below that new messages are refused, while flags, expunges
        /// and the background work that makes room go on. 0 turns the reserve off.
        free_bytes_min: u64 = count(0, 1024 * GIB, "bytes"), "268435456", Live;
        /// Bytes a second that each shard reads in the background of all that it keeps, to find damage before somebody needs the
        /// mail. 0 turns it off; what could not be read when somebody asked for it is looked at all the same.
        scrub_bytes_per_second: u64 = count(0, 64 * GIB, "bytes a second"), "4194304", Live;
        /// Pause between two such rounds through all accounts.
        scrub_seconds: u32 = count(0, 365 * DAY, "seconds"), "604800", Live;
        /// How long an account stays in memory that no session, delivery or background work uses.
        account_idle_seconds: u32 = count(1, DAY, "seconds"), "60", Live;
        /// Accounts that each shard keeps in memory. Above it those nobody uses are closed at once, longest unused first;
        /// those in use stay.
        accounts_open_max: usize = count(1, 100_000_000, "accounts"), "100000", Live;
        /// What the open accounts of each shard may take in memory, mapped snapshots among it. Above it mailboxes that no
        /// session has selected leave memory, and accounts that nobody uses.
        memory_bytes: u64 = count(1 << 20, 1024 * GIB, "bytes"), "1073741824", Live;
    }
    /// What `/healthz` says.
    health: Health {
        /// How long a shard may hold its core before `/healthz` says 503. A running one answers every 5 milliseconds.
        heartbeat_seconds_max: u32 = count(1, 3600, "seconds"), "30", Live;
    }
    /// Live upgrade: `skein serve --takeover` takes the place of a running server.
    takeover: Takeover {
        /// How long commands that run may go on when another process takes over; then their connections break. New clients
        /// wait meanwhile.
        grace_seconds: u32 = count(0, 3600, "seconds"), "5", Live;
    }
    /// Hands of the operator: `skein adm`.
    adm: Adm {
        /// Unix socket of `skein adm`. Root and the server's own user may use it. Empty: adm.sock in the data folder.
        socket: Option<PathBuf> = Kind::Path, "\"\"", Restart;
    }
    /// What the server gives up before it serves. The log says at the start what is in force.
    safety: Safety {
        /// User to become once ports are bound and keys are read, when started as root. The data folder is given to him.
        /// A reload reads files as this user. Empty: nobody is become, as under systemd, which starts the server as its user.
        user: String = Kind::Text { bytes_max: 255 }, "\"\"", Restart;
        /// Group to be in beside the user's own. Empty: the user's first.
        group: String = Kind::Text { bytes_max: 255 }, "\"\"", Restart;
        /// True: the kernel (Landlock) lets the server write in its data folder and in safety.folders, and read the folders of
        /// the files that these settings name, as they are at the start. Without effect in the demo.
        landlock: bool = Kind::Bool, "true", Restart;
        /// Folders beside the data folder that the server may write, as for backups.
        folders: Vec<PathBuf> = Kind::Paths, "[]", Restart;
        /// True: the kernel (seccomp) refuses system calls that a mail server never needs, such as starting a program.
        seccomp: bool = Kind::Bool, "true", Restart;
        /// True: a crash may leave a core file, with mail and passwords in it.
        core_dumps: bool = Kind::Bool, "false", Restart;
    }
}
