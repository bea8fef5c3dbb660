//! Exchanges, message by message.

use super::*;
use skein_base::scram::ScramKeys;

const NONCE: [u8; 18] = [7; 18];
/// [`NONCE`] in base64.
const NONCE_TEXT: &str = "BwcHBwcHBwcHBwcHBwcHBwcH";

fn keys(hash: ScramHash) -> ScramAnswer {
    ScramAnswer { keys: ScramKeys::derive(hash, b"pencil", b"0123456789abcdef", 4096), nonce: NONCE }
}

fn bound() -> Channel {
    let bindings = Bindings { exporter: Some([9; 32]), end_point: Some(b"certificate".to_vec()) };
    Channel { tls: true, certified: true, bindings: Some(Box::new(bindings)) }
}

/// What a message comes to: `>challenge`, what is asked, or the error. Keys are given when they are asked for.
fn said(exchange: &mut Exchange, message: Option<&[u8]>) -> String {
    let name = |authzid: Option<String>| authzid.map(|id| format!(" as {id}")).unwrap_or_default();
    match exchange.step(message) {
        Ok(SaslStep::Challenge(bytes)) => format!(">{}", String::from_utf8_lossy(&bytes)),
        Ok(SaslStep::Ask(Question::Password(c))) => {
            format!("{}/{}{}", c.user, String::from_utf8_lossy(c.password.expose()), name(c.authzid))
        }
        Ok(SaslStep::Ask(Question::Keys { user, authzid, hash })) => {
            let challenge = exchange.keys(keys(hash));
            format!("{user}{}>{}", name(authzid), String::from_utf8_lossy(&challenge))
        }
        Ok(SaslStep::Ask(Question::Proof { user, authzid, holds, .. })) => format!("{user}{} {holds}", name(authzid)),
        Ok(SaslStep::Ask(Question::Certificate { authzid })) => format!("certificate{}", name(authzid)),
        Err(e) => format!("{e:?}"),
    }
}

fn check(mechanism: &str, messages: &[Option<&[u8]>], expect: &[&str]) {
    let mut exchange = Exchange::new(Mechanism::named(mechanism.as_bytes()).unwrap(), &bound(), true);
    let got: Vec<String> = messages.iter().map(|message| said(&mut exchange, *message)).collect();
    assert_eq!(got, expect, "{mechanism} {messages:?}");
}

#[test]
fn simple_exchanges() {
    check("plain", &[Some(b"\0a\0b")], &["a/b"]);
    check("PLAIN", &[None, Some(b"c\0a\0b"), Some(b"\0a\0b")], &[">", "a/b as c", "Ended"]);
    check("PLAIN", &[Some(b"x"), Some(b"\0a\0b")], &["Malformed", "Ended"]);
    check("LOGIN", &[None, Some(b"a"), Some(b"b")], &[">Username:", ">Password:", "a/b"]);
    check("login", &[Some(b"a"), Some(b"b"), None], &[">Password:", "a/b", "Ended"]);
    check("LOGIN", &[None, Some(b""), Some(b"b")], &[">Username:", "Malformed", "Ended"]);
    check("LOGIN", &[None, Some(b"a"), Some(b"b\0")], &[">Username:", ">Password:", "Malformed"]);
    check("LOGIN", &[Some(b"a"), None], &[">Password:", "Ended"]);
    check("EXTERNAL", &[Some(b"")], &["certificate"]);
    check("EXTERNAL", &[None, Some(b"anna"), None], &[">", "certificate as anna", "Ended"]);
    check("EXTERNAL", &[Some(b"a\0b")], &["Malformed"]);
}

#[test]
fn names_and_offers() {
    assert_eq!(Mechanism::named(b"LoGiN"), Some(Mechanism::Login));
    assert_eq!(Mechanism::named(b"CRAM-MD5"), None);
    let offered = |channel: &Channel, plaintext| -> String {
        let names = Mechanism::offered(&Mechanism::ALL, channel, plaintext).map(Mechanism::name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(offered(&false.into(), false), "SCRAM-SHA-256 SCRAM-SHA-1");
    assert_eq!(offered(&false.into(), true), "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
    assert_eq!(
        offered(&bound(), false),
        "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL PLAIN LOGIN"
    );
    assert_eq!(Mechanism::offered(&[Mechanism::Plain], &bound(), true).count(), 1);
}

/// A client of one exchange: what it sends after the server's first message.
fn client_final(hash: ScramHash, binding: &[u8], bare: &str, server_first: &str, password: &str) -> (String, String) {
    let server_first = server_first.split_once('>').unwrap().1;
    let field = |letter: &str| server_first.split(',').find_map(|f| f.strip_prefix(letter)).unwrap();
    let without_proof = format!("c={},r={}", String::from_utf8(crate::base64::encode(binding)).unwrap(), field("r="));
    let message = format!("{bare},{server_first},{without_proof}");
    let salt = crate::base64::decode(field("s=").as_bytes()).unwrap();
    let keys = ScramKeys::derive(hash, password.as_bytes(), &salt, field("i=").parse().unwrap());
    let client_key = client_key(hash, password, &salt, field("i=").parse().unwrap());
    let signature = hash.hmac(&keys.stored_key, message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let text = |bytes: &[u8]| String::from_utf8(crate::base64::encode(bytes)).unwrap();
    (format!("{without_proof},p={}", text(&proof)), format!(">v={}", text(&keys.server_signature(message.as_bytes()))))
}

/// `HMAC(PBKDF2(password), "Client Key")`, written out once more as the client does it.
fn client_key(hash: ScramHash, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
    let mut block = hash.hmac(password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
    let mut salted = block.clone();
    for _ in 1..iterations {
        block = hash.hmac(password.as_bytes(), &block);
        salted.iter_mut().zip(&block).for_each(|(a, b)| *a ^= b);
    }
    hash.hmac(&salted, b"Client Key")
}

fn scram(mechanism: &str, gs2: &str, bound_to: &[u8], password: &str) -> Vec<String> {
    let mechanism = Mechanism::named(mechanism.as_bytes()).unwrap();
    let Mechanism::Scram { hash, .. } = mechanism else { panic!("SCRAM") };
    let mut exchange = Exchange::new(mechanism, &bound(), true);
    let bare = "n=user,r=client";
    let first = said(&mut exchange, Some(format!("{gs2}{bare}").as_bytes()));
    if !first.contains('>') {
        return vec![first];
    }
    let binding = [gs2.as_bytes(), bound_to].concat();
    let (message, expect) = client_final(hash, &binding, bare, &first, password);
    let last = said(&mut exchange, Some(message.as_bytes()));
    if last == expect { vec![first, "signed".into(), said(&mut exchange, Some(b""))] } else { vec![first, last] }
}

#[test]
fn scram_exchanges() {
    let first = format!("user>r=client{NONCE_TEXT},s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096");
    let first_as = first.replace('>', " as boss>");
    for (mechanism, gs2, bound_to, password, expect) in [
        ("SCRAM-SHA-1", "n,,", &b""[..], "pencil", &[&*first, "signed", "user true"][..]),
        ("SCRAM-SHA-256", "n,,", b"", "pencil", &[&first, "signed", "user true"]),
        ("SCRAM-SHA-256", "n,,", b"", "pencils", &[&first, "user false"]),
        ("SCRAM-SHA-256", "n,a=boss,", b"", "pencil", &[&first_as, "signed", "user as boss true"]),
        ("SCRAM-SHA-256", "n,,", b"x", "pencil", &[&first, "Binding"]),
        // The server has offered -PLUS: somebody kept that from the client.
        ("SCRAM-SHA-256", "y,,", b"", "pencil", &["Binding"]),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", &[9; 32], "pencil", &[&first, "signed", "user true"]),
        ("SCRAM-SHA-1-PLUS", "p=tls-server-end-point,,", b"certificate", "pencil", &[&first, "signed", "user true"]),
        ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,", &[8; 32], "pencil", &[&first, "Binding"]),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", b"", "pencil", &["Binding"]),
        ("SCRAM-SHA-256-PLUS", "n,,", b"", "pencil", &["Malformed"]),
        ("SCRAM-SHA-256", "p=tls-exporter,,", b"", "pencil", &["Binding"]),
        ("SCRAM-SHA-256", "n,", b"", "pencil", &["Malformed"]),
        ("SCRAM-SHA-256", "x,,", b"", "pencil", &["Malformed"]),
        ("SCRAM-SHA-256", "n,,m=1,", b"", "pencil", &["Malformed"]),
    ] {
        assert_eq!(scram(mechanism, gs2, bound_to, password), expect, "{mechanism} {gs2} {password}");
    }
}

/// RFC 7677 §3, but for the server's nonce, which we choose: the client's bytes, and what is refused of them.
#[test]
fn scram_messages() {
    let first = |text: &str| said(&mut Exchange::new(Mechanism::ALL[2], &false.into(), false), Some(text.as_bytes()));
    for (text, expect) in [
        ("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", "user>"),
        ("y,,n=user,r=x", "user>"),
        ("n,,n=us=2Cer=3D,r=x,later=1", "us,er=>"),
        ("n,,n=I\u{ad}X,r=x", "IX>"),
        ("n,,n=us=2cer,r=x", "Malformed"),
        ("n,,n=user=,r=x", "Malformed"),
        ("n,,n=,r=x", "Malformed"),
        ("n,,n=user,r=", "Malformed"),
        ("n,,n=user", "Malformed"),
        ("n,,r=x,n=user", "Malformed"),
        ("n,a=,n=user,r=x", "Malformed"),
        ("n,b=x,n=user,r=x", "Malformed"),
        ("", "Malformed"),
    ] {
        assert!(first(text).starts_with(expect), "{text}: {}", first(text));
    }
    let long = format!("n,,n=user,r={}", "x".repeat(MESSAGE_BYTES_MAX));
    assert_eq!(first(&long), "TooLong { max: 1534 }");

    let last = |text: &str| {
        let mut exchange = Exchange::new(Mechanism::ALL[2], &false.into(), false);
        said(&mut exchange, Some(b"n,,n=user,r=x"));
        said(&mut exchange, Some(text.as_bytes()))
    };
    let nonce = format!("x{NONCE_TEXT}");
    for (text, expect) in [
        (format!("c=biws,r={nonce},p=AAAA"), "user false"),
        (format!("c=biws,r={nonce},ext=1,p=AAAA"), "user false"),
        (format!("c=biws,r={nonce},p="), "user false"),
        (format!("c=biws,r={nonce},p=A"), "Malformed"),
        (format!("c=biws,r={nonce}"), "Malformed"),
        (format!("c=eSws,r={nonce},p=AAAA"), "Binding"),
        ("c=biws,r=x,p=AAAA".to_owned(), "Malformed"),
        (format!("r={nonce},c=biws,p=AAAA"), "Malformed"),
        (String::new(), "Malformed"),
    ] {
        assert_eq!(last(&text), expect, "{text}");
    }
}

/// The exchange of RFC 5802 §5 as the RFC prints it, and that of RFC 7677 §3: the keys and messages there give the
/// signatures there.
#[test]
fn the_rfcs_signatures() {
    let decode = |text: &str| crate::base64::decode(text.as_bytes()).unwrap();
    for (hash, salt, message, proof, signature) in [
        (
            ScramHash::Sha1,
            "QSXCR+Q6sek8bf92",
            "n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,\
             c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            ScramHash::Sha256,
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ] {
        let keys = ScramKeys::derive(hash, b"pencil", &decode(salt), 4096);
        assert!(keys.proves(message.as_bytes(), &decode(proof)));
        assert_eq!(keys.server_signature(message.as_bytes()), decode(signature));
    }
}
