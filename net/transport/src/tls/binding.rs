//! What binds a login to the TLS channel it travels in, so that a man in the middle can not pass it on.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Channel binding data (RFC 5056).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266), with TLS 1.3 only: before it, the value is not safe without the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): a hash of the certificate that the client was shown.
    pub end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    pub(crate) fn of(tls: &ServerConnection, shown: Option<&Shown>) -> ChannelBindings {
        let is_13 = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let export = || tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        let certificate = shown.and_then(|shown| shown.0.get()).and_then(|key| key.cert.first());
        ChannelBindings {
            exporter: is_13.then(export).flatten(),
            end_point: certificate.and_then(|certificate| end_point(certificate)),
        }
    }
}

/// A hash of the certificate by the hash function of its signature; where that is MD5 or SHA-1, SHA-256. A signature without
/// one hash function (Ed25519) has no such binding.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = &parsed.signature_algorithm.algorithm;
    let is = |list: &[oid::Oid<'static>]| list.contains(algorithm);
    if is(&[oid::OID_PKCS1_SHA256WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA256, oid::OID_PKCS1_SHA1WITHRSA]) {
        Some(Sha256::digest(certificate).to_vec())
    } else if is(&[oid::OID_PKCS1_SHA384WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA384]) {
        Some(Sha384::digest(certificate).to_vec())
    } else if is(&[oid::OID_PKCS1_SHA512WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA512]) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

/// The certificate that one client was shown, once the handshake has chosen it.
#[derive(Clone)]
pub(crate) struct Shown(Arc<OnceLock<Arc<CertifiedKey>>>);

impl Shown {
    /// These settings for one connection, with a note of the choice.
    pub fn noting(config: &ServerConfig) -> (Arc<ServerConfig>, Shown) {
        let shown = Shown(Arc::default());
        let mut config = config.clone();
        config.cert_resolver = Arc::new(Noting { chooses: config.cert_resolver.clone(), shown: shown.clone() });
        (Arc::new(config), shown)
    }
}

struct Noting {
    chooses: Arc<dyn ResolvesServerCert>,
    shown: Shown,
}

impl ResolvesServerCert for Noting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let chosen = self.chooses.resolve(hello)?;
        // A second hello (after HelloRetryRequest) has the same name and is shown the same.
        _ = self.shown.0.set(chosen.clone());
        Some(chosen)
    }
}

impl fmt::Debug for Noting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chooses.fmt(f)
    }
}
