//! Certificates made for one test: an authority of its own and the servers that it vouches for.

use std::fmt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// How a Redis is told of the files of [`Authority::write_server_files`]; clients need no certificate.
pub(crate) const SERVER_FILES: [(&str, &str); 4] = [
    ("tls-ca-cert-file", "ca.pem"),
    ("tls-cert-file", "server.pem"),
    ("tls-key-file", "server.key"),
    ("tls-auth-clients", "no"),
];

/// A certificate authority that only the test which made it trusts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

/// A certificate and its key, both as PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// Its private key (PKCS #8).
    pub key_pem: String,
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Panics
    /// If no key can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Ticketon test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("no key: {error}"));
        let issuer = CertifiedIssuer::self_signed(params, key)
            .unwrap_or_else(|error| panic!("no authority: {error}"));
        Self { issuer }
    }

    /// The authority's certificate, as PEM: what clients are told to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes `ca.pem`, and `server.pem` and `server.key` of a server on 127.0.0.1, as [`SERVER_FILES`] names them.
    ///
    /// # Panics
    /// If a file cannot be written.
    pub(crate) fn write_server_files(&self, folder: &Path) {
        let identity = self.identity(&["127.0.0.1", "localhost"]);
        let files = [
            ("ca.pem", self.pem()),
            ("server.pem", identity.certificate_pem),
            ("server.key", identity.key_pem),
        ];
        for (name, content) in files {
            std::fs::write(folder.join(name), content)
                .unwrap_or_else(|error| panic!("cannot write {name}: {error}"));
        }
    }

    /// A server's certificate for host names and addresses.
    ///
    /// # Panics
    /// If a name is not valid in a certificate.
    #[must_use]
    pub fn identity(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names)
            .unwrap_or_else(|error| panic!("a name is not valid: {error}"));
        params
            .distinguished_name
            .push(DnType::CommonName, "Ticketon test server");
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap_or_else(|error| panic!("no key: {error}"));
        let certificate = params
            .signed_by(&key, &self.issuer)
            .unwrap_or_else(|error| panic!("no certificate: {error}"));
        Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        }
    }
}
