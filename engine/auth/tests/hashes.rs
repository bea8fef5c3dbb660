//! Each scheme against hashes that other programs made (libxcrypt, argon2-cffi, Python's hashlib).

use skein_auth::{Hash, HashError};

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
];

#[test]
fn the_right_password_and_no_other() {
    for field in SECRET {
        let hash = Hash::parse(field).unwrap_or_else(|e| panic!("{field}: {e}"));
        assert!(hash.matches(b"secret"), "{field}");
        for wrong in [&b""[..], b"Secret", b"secret\0", b"secre", b"secret ", b"\xff\xfe"] {
            assert!(!hash.matches(wrong), "{field} {wrong:?}");
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
        ("{SSHA.hex}00", HashError::UnknownScheme("SSHA.hex".into())),
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
