//! What a connection begins with: versions, ciphers in their order, tickets.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ProducesTickets};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};

use super::TlsVersion;
use super::names::{ByName, Certificate};

/// The TLS settings of connections that begin now.
///
/// Most clients name AES-256 with SHA-384 first, without needing it. A handshake is full of hashes, and processors have instructions for
/// SHA-256 only; AES-128 has fewer rounds. So the order of ciphers is ours, AES-128 first, but not for a client that names ChaCha20
/// first: it has no instructions for AES, and would pay for what we save.
pub struct TlsConfig {
    in_our_order: Arc<ServerConfig>,
    in_client_order: Arc<ServerConfig>,
    certificates: Arc<ByName>,
}

impl TlsConfig {
    /// With session tickets; `clients` judges their certificates.
    pub(super) fn new(
        certificates: ByName,
        ticketer: &Arc<dyn ProducesTickets>,
        clients: &Arc<dyn ClientCertVerifier>,
        version_min: TlsVersion,
    ) -> TlsConfig {
        let certificates = Arc::new(certificates);
        let versions: &[&SupportedProtocolVersion] = match version_min {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let make = |our_order: bool| {
            let builder = ServerConfig::builder_with_provider(Arc::new(provider()));
            let builder = builder.with_protocol_versions(versions).expect("ring speaks both versions");
            let builder = builder.with_client_cert_verifier(clients.clone());
            let mut config = builder.with_cert_resolver(certificates.clone());
            config.ignore_client_order = our_order;
            config.ticketer = ticketer.clone();
            // One is enough for clients that hold one connection; each costs a record in the handshake.
            config.send_tls13_tickets = 1;
            Arc::new(config)
        };
        TlsConfig { in_our_order: make(true), in_client_order: make(false), certificates }
    }

    /// The settings for a client that says this, and the certificate that it is shown.
    pub(crate) fn of_client(&self, hello: &ClientHello<'_>) -> (&Arc<ServerConfig>, &Arc<Certificate>) {
        let config = match prefers_chacha(hello.cipher_suites()) {
            true => &self.in_client_order,
            false => &self.in_our_order,
        };
        (config, self.certificates.shown(hello.server_name()))
    }
}

/// Those of ring, AES-128 before the others.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(|cipher| !is_aes_128(cipher.suite()));
    provider
}

fn is_aes_128(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

/// Whether ChaCha20 is the first cipher that a client names, but for those that mean nothing (RFC 8701: `0x?a?a`).
fn prefers_chacha(suites: &[CipherSuite]) -> bool {
    let is_grease = |suite: &CipherSuite| u16::from(*suite) & 0x0f0f == 0x0a0a;
    matches!(
        suites.iter().find(|suite| !is_grease(suite)),
        Some(
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_prefers_chacha() {
        const CHACHA: CipherSuite = CipherSuite::TLS13_CHACHA20_POLY1305_SHA256;
        const AES: CipherSuite = CipherSuite::TLS13_AES_256_GCM_SHA384;
        const GREASE: CipherSuite = CipherSuite::Unknown(0x5a5a);
        for (suites, expect) in [
            (&[CHACHA, AES][..], true),
            (&[GREASE, CHACHA, AES], true),
            (&[AES, CHACHA], false),
            (&[GREASE, AES, CHACHA], false),
            (&[GREASE], false),
            (&[], false),
        ] {
            assert_eq!(prefers_chacha(suites), expect, "{suites:?}");
        }
    }

    #[test]
    fn aes_128_comes_first_and_nothing_is_missing() {
        let (ours, all) = (provider().cipher_suites, ring::default_provider().cipher_suites);
        let (first, rest) = ours.split_at(3);
        assert!(
            first.iter().all(|cipher| is_aes_128(cipher.suite()))
                && !rest.iter().any(|cipher| is_aes_128(cipher.suite()))
        );
        assert!(ours.len() == all.len() && all.iter().all(|cipher| ours.contains(cipher)));
    }
}
