//! What binds a login to the TLS channel it travels in, so that a man in the middle can not pass it on.

use rustls::{ProtocolVersion, ServerConnection};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::names::Certificate;

/// Channel binding data (RFC 5056).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266), with TLS 1.3 only: before it, the value is not safe without the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): a hash of the certificate that the client was shown.
    pub end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    pub(crate) fn of(tls: &ServerConnection, shown: Option<&Certificate>) -> ChannelBindings {
        let is_13 = tls.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let export = || tls.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok();
        ChannelBindings {
            exporter: is_13.then(export).flatten(),
            end_point: shown.and_then(|shown| shown.end_point.clone()),
        }
    }
}

/// A hash of the certificate by the hash function of its signature; where that is MD5 or SHA-1, SHA-256. A signature without
/// one hash function (Ed25519) has no such binding.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
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
