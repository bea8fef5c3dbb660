//! Which certificate a client is shown: by the host name it asks for (SNI, RFC 6066 §3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use super::binding::end_point;

/// A certificate that clients are shown.
#[derive(Debug)]
pub(crate) struct Certificate {
    key: Arc<CertifiedKey>,
    /// What a login can be bound to by it, made once.
    pub end_point: Option<Vec<u8>>,
}

/// Certificates by the names they are valid for. Where several are, the first one is shown; where none is, the default.
#[derive(Debug)]
pub(super) struct ByName {
    default: Arc<Certificate>,
    /// Lower case; a wildcard stands as `.example.org`.
    named: HashMap<Box<str>, Arc<Certificate>>,
}

impl ByName {
    /// The first certificate is the default.
    ///
    /// # Panics
    /// Without any.
    pub fn new(certificates: Vec<CertifiedKey>) -> ByName {
        let certificate = |key: CertifiedKey| {
            let end_point = key.cert.first().and_then(|leaf| end_point(leaf));
            Arc::new(Certificate { key: Arc::new(key), end_point })
        };
        let certificates: Vec<Arc<Certificate>> = certificates.into_iter().map(certificate).collect();
        let mut named = HashMap::new();
        for certificate in &certificates {
            for name in names(&certificate.key) {
                named.entry(name).or_insert_with(|| certificate.clone());
            }
        }
        ByName { default: certificates.into_iter().next().expect("there is a default"), named }
    }

    /// What a client is shown that asks for this name.
    pub fn shown(&self, name: Option<&str>) -> &Arc<Certificate> {
        name.and_then(|name| self.find(name)).unwrap_or(&self.default)
    }

    fn find(&self, name: &str) -> Option<&Arc<Certificate>> {
        let name = name.to_ascii_lowercase();
        // A wildcard stands for exactly one label (RFC 9525 §6.3).
        let parent = || name.find('.').and_then(|dot| self.named.get(&name[dot..]));
        self.named.get(&*name).or_else(parent)
    }
}

/// The DNS names of a certificate; rustls has read it already, so a certificate without any is one without.
fn names(certificate: &CertifiedKey) -> Vec<Box<str>> {
    let Some(Ok(leaf)) = certificate.cert.first().map(EndEntityCert::try_from) else { return Vec::new() };
    let key = |name: &str| name.strip_prefix('*').unwrap_or(name).to_ascii_lowercase().into_boxed_str();
    leaf.valid_dns_names().map(key).collect()
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown(hello.server_name()).key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;

    fn certificate(names: &[&str]) -> CertifiedKey {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("names that can be");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        CertifiedKey::from_der(vec![made.cert.der().clone()], key, &ring::default_provider()).expect("they fit")
    }

    #[test]
    fn exact_before_wildcard_before_default() {
        let certificates = vec![
            certificate(&["default.example", "127.0.0.1"]),
            certificate(&["*.example.org", "example.org"]),
            certificate(&["Mail.example.org", "default.example"]),
        ];
        let leaves: Vec<_> = certificates.iter().map(|c| c.cert[0].clone()).collect();
        let by_name = ByName::new(certificates);
        let found = |name: &str| {
            let shown = by_name.shown(Some(name));
            leaves.iter().position(|leaf| *leaf == shown.key.cert[0])
        };
        let expect = [
            ("default.example", 0),
            ("example.org", 1),
            ("imap.example.org", 1),
            ("IMAP.Example.Org", 1),
            ("mail.example.org", 2),
            ("a.b.example.org", 0),
            ("example.com", 0),
            ("org", 0),
            ("", 0),
            (".", 0),
        ];
        for (name, index) in expect {
            assert_eq!(found(name), Some(index), "{name}");
        }
    }
}
