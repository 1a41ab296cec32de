//! What HTTP clients of tests speak TLS with.

/// Chooses the cryptography of this process's TLS. Clients need it before they are made, also those that speak no TLS,
/// when some crate of the build has the client's TLS without a choice of its own.
///
/// Whoever starts a server or a program of the harness has it already.
pub fn speak_tls() {
    // Chosen before: as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
