//! Each scheme against hashes that other programs made (libxcrypt, argon2-cffi, Python's hashlib).

use skein_auth::{Hash, HashError, MAKE_SCHEMES, MakeError, make};
use skein_base::Secret;

/// Stored fields for the password `secret`.
const SECRET: &[&str] = &[
    "{PLAIN}secret",
    "{cleartext}secret",
    "{SHA512-CRYPT}$6$saltysalt$Wb6SASNlyFTtQx2W/Tmwa9XVqYu3zlb.Ew4BdY1sFLeIEDsGHqz/AdkfydAMifwHQfBGCkiPB8H7foOtMFn.F1",
    "{CRYPT}$6$saltysalt$Wb6SASNlyFTtQx2W/Tmwa9XVqYu3zlb.Ew4BdY1sFLeIEDsGHqz/AdkfydAMifwHQfBGCkiPB8H7foOtMFn.F1",
    "$6$rounds=1000$abcdefghijklmnop$/ySzNKkDy6wawo9hTH6WxjPbiNMjvDjUNjja1ca1Iw8M6hvIP5521AJRYCq2LKFri/5fZ6KSUYfs/3ZzFVhh./",
    "$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD",
    "{SHA256-CRYPT}$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD",
    "{BLF-CRYPT}$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
    "{ARGON2ID}$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$NwLSKyqrGIiZOR0o1xAodvQbqYvoClGXx5cYXiW9kDY",
    "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$NwLSKyqrGIiZOR0o1xAodvQbqYvoClGXx5cYXiW9kDY",
    "{ARGON2I}$argon2i$v=19$m=64,t=1,p=2$c29tZXNhbHQ$FFCD18aDYth7gaZjCSKqKg",
    "{SSHA}dj2lH1ocucmj5OQsjP6mQrVx6FhOYUNs",
    "{SSHA256}MiBKWPJ1JQtCfn9IyOCVrjIVaDjvjq7QEJ2338bLy6lOYUNs",
    "{SSHA512}iRjXxi6rhPYpuxX1j9XfoMia+YOZ6MBLltGn46bREX+b3os6Fh/Dl8WNN5YGrc4n7fSBhWch1IoYiLBEukHNAE5hQ2w=",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ",
    "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols",
    "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
    "{SCRAM-SHA-256}4096,MDEyMzQ1Njc4OWFiY2RlZg==,bpSY5Ze9NUH+I35LC3gVq+DpBfK46iXBxvhAKqVu9pE=,VpYlBuxyzeCI1KnctrefdljpB1mk3Gp7sBI/t11+NkQ=",
    "{SCRAM-SHA-1}5000,c2FsdHk=,vJnGJkZdIvQOnfpkic52O4ooE8A=,yYlAYgnDMHyfh5/HkgGnN5ilOpw=",
    "{PBKDF2}$1$abcdefgh$5000$4d1f485e75d13fbf46ec6f88ea5cd2faebfe3e0a",
    "{SMD5}mc0uWpXVVe5747A4pKhGJXNhbHQ=",
    "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{SSHA.hex}8152bc582f58c854f580cb101d3182813dec4afe73616c74",
    "{SHA512.HEX}BD2B1AAF7EF4F09BE9F52CE2D8D599674D81AA9D6A4421696DC4D93DD0619D682CE56B4D64A9EF097761CED99E0F67265B5F76085E5B0EE7CA4696B2AD6FE2B2",
    "{SHA256.b64}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    "{PLAIN.b64}c2VjcmV0",
    "{PLAIN.hex}736563726574",
    "{SHA256-CRYPT.b64}JDUkc2FsdHlzYWx0JFFiWUE2SHJrWUdUeEdEUVR5c04ucURsQkhNL0hFRkR2bjMzWXRoSFlEdEQ=",
];

#[test]
fn the_right_password_and_no_other() {
    for field in SECRET {
        let hash = Hash::parse(field).unwrap_or_else(|e| panic!("{field}: {e}"));
        assert!(hash.matches(b"secret"), "{field}");
        for wrong in [&b""[..], b"Secret", b"secret\0", b"secre", b"secret ", b"\xff\xfe"] {
            // HMAC pads its key with NUL; no password on the wire may hold one.
            let pads = wrong == b"secret\0" && (field.contains("SCRAM") || field.contains("PBKDF2"));
            assert_eq!(hash.matches(wrong), pads, "{field} {wrong:?}");
        }
    }
}

/// Passwords are bytes, not text; bcrypt looks at the first 72 of them.
#[test]
fn bytes_and_long_passwords() {
    let utf8 = Hash::parse("$5$rounds=1500$x$qQLUUxrew/et1PlIa4Ly.Ee.pwspofVJ9M.OKOoe6W8").unwrap();
    assert!(utf8.matches("grüße".as_bytes()) && !utf8.matches(b"gr\xfc\xdfe"));
    let long = Hash::parse("$2y$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i").unwrap();
    assert!(long.matches(&[b'x'; 80]) && long.matches(&[b'x'; 72]) && !long.matches(&[b'x'; 71]));
}

#[test]
fn locked_fields_open_to_nothing() {
    for field in ["", "!", "*", "!!", "!$6$saltysalt$x", "*NP*"] {
        let hash = Hash::parse(field).unwrap();
        assert!(!hash.matches(b"") && !hash.matches(field.as_bytes()), "{field}");
    }
}

#[test]
fn costly_are_those_that_take_a_job() {
    for (field, expect) in [
        ("{PLAIN}x", false),
        (SECRET[2], true),
        (SECRET[5], true),
        (SECRET[7], true),
        (SECRET[9], true),
        (SECRET[12], false),
    ] {
        assert_eq!(Hash::parse(field).unwrap().is_costly(), expect, "{field}");
    }
}

#[test]
fn useless_fields_say_why() {
    let malformed = |scheme| HashError::Malformed { scheme };
    for (field, expect) in [
        ("secret", HashError::NoScheme),
        ("$1$salt$hash", HashError::NoScheme),
        ("{NTLM}00", HashError::UnknownScheme("NTLM".into())),
        ("{SSHA.rot13}00", HashError::UnknownScheme("SSHA.rot13".into())),
        ("{SSHA.hex}0", malformed("SSHA")),
        ("{SSHA.hex}00", malformed("SSHA")),
        ("{PLAIN.hex}0g", malformed("an encoded text")),
        ("{SHA256-CRYPT.hex}ff", malformed("an encoded text")),
        ("{SCRAM-SHA-256}4096,c2FsdA==,AAAA,AAAA", malformed("SCRAM-SHA-256")),
        ("{SCRAM-SHA-1}0,c2FsdA==,bd5ZW6VOe95UAhJVdNqqN5AFLAI=,bd5ZW6VOe95UAhJVdNqqN5AFLAI=", malformed("SCRAM-SHA-1")),
        (
            "{SCRAM-SHA-1}1000001,c2FsdA==,bd5ZW6VOe95UAhJVdNqqN5AFLAI=,bd5ZW6VOe95UAhJVdNqqN5AFLAI=",
            HashError::TooCostly { scheme: "SCRAM-SHA-1", max: "1000000 iterations" },
        ),
        ("{PBKDF2}$1$salt$5000$00", malformed("PBKDF2")),
        ("{PBKDF2}$2$salt$5000$0000000000000000000000000000000000000000", malformed("PBKDF2")),
        (
            "{PBKDF2}$1$salt$1000001$0000000000000000000000000000000000000000",
            HashError::TooCostly { scheme: "PBKDF2", max: "1000000 rounds" },
        ),
        ("{SSHA}AAAA", malformed("SSHA")),
        ("{SHA}dj2lH1ocucmj5OQsjP6mQrVx6FhOYUNs", malformed("SHA")),
        ("{SSHA}****", malformed("SSHA")),
        ("{SHA512-CRYPT}$5$saltysalt$QbYA6HrkYGTxGDQTysN.qDlBHM/HEFDvn33YthHYDtD", malformed("SHA512-CRYPT")),
        ("$6$saltysalt$short", malformed("SHA512-CRYPT")),
        ("$6$rounds=x$s$h", malformed("SHA512-CRYPT")),
        ("$6$rounds=99999999$s$h", HashError::TooCostly { scheme: "SHA512-CRYPT", max: "rounds=10000000" }),
        ("$6$", malformed("SHA512-CRYPT")),
        ("{BLF-CRYPT}x", malformed("BLF-CRYPT")),
        (
            "$2y$30$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
            HashError::TooCostly { scheme: "BLF-CRYPT", max: "cost 18" },
        ),
        (
            "$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$NwLSKyqrGIiZOR0o1xAodvQbqYvoClGXx5cYXiW9kDY",
            HashError::TooCostly { scheme: "ARGON2", max: "m=1048576" },
        ),
        ("$argon2d$v=19$m=64,t=2,p=1$c29tZXNhbHQ$NwLSKyqrGIiZOR0o1xAodvQbqYvoClGXx5cYXiW9kDY", malformed("ARGON2")),
        ("$argon2id$v=19$m=64,t=2,p=1", malformed("ARGON2")),
        ("{CRYPT}x", malformed("CRYPT")),
    ] {
        assert_eq!(Hash::parse(field).unwrap_err(), expect, "{field}");
    }
}

/// What is made is read again, opens to its password only, and is another with other chance.
#[test]
fn what_is_made_works() {
    for scheme in MAKE_SCHEMES {
        let made = make(&scheme.to_lowercase(), &Secret::from("grüße"), [0xa5; 16]).unwrap();
        assert!(made.starts_with(&format!("{{{scheme}}}")) && !made.contains([':', '\n']), "{made}");
        let hash = Hash::parse(&made).unwrap_or_else(|e| panic!("{made}: {e}"));
        assert!(hash.matches("grüße".as_bytes()) && !hash.matches(b"other"), "{made}");
        let again = make(scheme, &Secret::from("grüße"), [0x5a; 16]).unwrap();
        assert_eq!(made == again, *scheme == "PLAIN", "{made}");
    }
}

#[test]
fn what_can_not_be_made_says_why() {
    let check = |scheme: &str, password: &str| make(scheme, &Secret::from(password), [0; 16]).unwrap_err();
    assert_eq!(check("NTLM", "x"), MakeError::UnknownScheme("NTLM".into()));
    for password in ["", "a\0b", "a\nb", &"x".repeat(1025)] {
        assert_eq!(check("ARGON2ID", password), MakeError::BadPassword);
    }
    assert_eq!(check("PLAIN", "a:b"), MakeError::BadPassword);
}
