//! Client certificates: who vouches for them, and whom they name.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::TlsLoadError;

/// Bytes of a name that is looked at; user names are shorter.
const NAME_BYTES_MAX: usize = 254;

/// Asks clients for a certificate that one of the authorities in the file vouches for, and goes on without one.
pub(super) fn verifier(authorities: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsLoadError> {
    let unfit = |error| TlsLoadError::pem(authorities, "certificate authority", error);
    let certificates = CertificateDer::pem_file_iter(authorities).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in certificates.map_err(unfit)? {
        roots.add(certificate).map_err(|error| TlsLoadError::Made(format!("{}: {error}", authorities.display())))?;
    }
    if roots.is_empty() {
        return Err(unfit(PemError::NoItemsFound));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let made = builder.allow_unauthenticated().build();
    made.map_err(|error| TlsLoadError::Made(format!("{}: {error}", authorities.display())))
}

/// Whom a client certificate names.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ClientNames {
    /// The first e-mail address among the alternative names.
    pub email: Option<String>,
    /// The subject's common name, when there is just one.
    pub common_name: Option<String>,
}

impl ClientNames {
    /// Reads a certificate that was verified before.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> ClientNames {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return ClientNames::default() };
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let email = alternatives.and_then(|names| {
            names.value.general_names.iter().find_map(|name| match name {
                GeneralName::RFC822Name(address) => usable(address),
                _ => None,
            })
        });
        let mut common = parsed.subject().iter_common_name();
        let common_name = match (common.next(), common.next()) {
            (Some(name), None) => name.as_str().ok().and_then(usable),
            // Two names are nobody's.
            _ => None,
        };
        ClientNames { email, common_name }
    }
}

fn usable(name: &str) -> Option<String> {
    let good = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(|c: char| c.is_control());
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn names(common: &[&str], emails: &[&str]) -> ClientNames {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        common.iter().for_each(|name| params.distinguished_name.push(DnType::CommonName, *name));
        params.subject_alt_names = emails.iter().map(|at| SanType::Rfc822Name((*at).try_into().unwrap())).collect();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ClientNames::of(made.der())
    }

    #[test]
    fn names_of_certificates() {
        let expect = |email: Option<&str>, common_name: Option<&str>| ClientNames {
            email: email.map(str::to_owned),
            common_name: common_name.map(str::to_owned),
        };
        assert_eq!(names(&["Anna"], &[]), expect(None, Some("Anna")));
        let both = names(&["Anna"], &["anna@example.org", "other@example.org"]);
        assert_eq!(both, expect(Some("anna@example.org"), Some("Anna")));
        assert_eq!(names(&["an\0na"], &[]), expect(None, None));
        assert_eq!(names(&[&"x".repeat(300)], &[]), expect(None, None));
        assert_eq!(ClientNames::of(&CertificateDer::from(b"nonsense".to_vec())), expect(None, None));
    }
}
