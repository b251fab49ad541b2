//! Encrypted connections, by the modes of libpq's `sslmode` (PostgreSQL documentation, "SSL
//! Support", table 32.1):
//!
//! | mode | encrypted | the certificate is checked |
//! |---|---|---|
//! | `disable` | no | |
//! | `prefer`, where none is named | if the server can | no |
//! | `require` | yes | if `sslrootcert` names authorities |
//! | `verify-ca` | yes | that an authority stands behind it |
//! | `verify-full` | yes | that, and the host's name |
//!
//! Authorities are those of the file that `sslrootcert` names, or the system's: without that
//! parameter, or where it is `system`.

use postgres::config::SslMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::borrow::Cow;
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What stands for the system's authorities.
const SYSTEM: &str = "system";

/// What a URL asks of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The parameters of a URL that speak of encryption.
#[derive(Debug, Default)]
pub(super) struct Parameters<'a> {
    pub mode: Option<&'a str>,
    pub authorities: Option<Cow<'a, str>>,
}

/// How connections are encrypted.
#[derive(Clone)]
pub(super) struct Tls {
    pub mode: SslMode,
    /// `None` where they are not.
    pub connect: Option<MakeRustlsConnect>,
}

impl Parameters<'_> {
    /// What they come to, or what is wrong with them.
    pub fn read(&self) -> Result<Tls, String> {
        let mode = match self.mode {
            Some("disable") => Mode::Disable,
            None | Some("prefer") => Mode::Prefer,
            // With authorities at hand libpq looks at them.
            Some("require") if self.authorities.is_some() => Mode::VerifyCa,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => {
                return Err(format!(
                    "`sslmode` is `{other}`, but must be disable, prefer, require, verify-ca or \
                     verify-full"
                ));
            }
        };
        let checks = matches!(mode, Mode::VerifyCa | Mode::VerifyFull);
        if let Some(file) = self.authorities.as_ref().filter(|_| !checks) {
            return Err(format!(
                "`sslrootcert` is `{file}`, but is looked at only where `sslmode` is require, \
                 verify-ca or verify-full"
            ));
        }
        let connect = match mode {
            Mode::Disable => None,
            _ => Some(MakeRustlsConnect::new(self.client(mode)?)),
        };
        Ok(Tls {
            mode: match mode {
                Mode::Disable => SslMode::Disable,
                Mode::Prefer => SslMode::Prefer,
                _ => SslMode::Require,
            },
            connect,
        })
    }

    fn client(&self, mode: Mode) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let failed = |error: Error| format!("no encryption: {error}");
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(failed)?;
        let verifier = match mode {
            Mode::VerifyCa | Mode::VerifyFull => {
                let roots = Arc::new(self.roots()?);
                let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
                Some(verifier.build().map_err(|error| error.to_string())?)
            }
            Mode::Disable | Mode::Prefer | Mode::Require => None,
        };
        let lenient = match verifier {
            Some(verifier) if mode == Mode::VerifyFull => {
                return Ok(builder.with_webpki_verifier(verifier).with_no_client_auth());
            }
            authority => Lenient {
                authority,
                provider,
            },
        };
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(lenient))
            .with_no_client_auth())
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        let Some(file) = self.authorities.as_deref().filter(|name| *name != SYSTEM) else {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(
                    "the system has no certificates of authorities; name a file of them \
                            by `sslrootcert`"
                        .into(),
                );
            }
            return Ok(roots);
        };
        let wrong = |reason: String| format!("`sslrootcert` is `{file}`: {reason}");
        let certificates = CertificateDer::pem_file_iter(file).map_err(|e| wrong(e.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("it holds no certificate".into()));
        }
        Ok(roots)
    }
}

/// Whether a connection failed for what a certificate says, which waiting does not mend.
pub(super) fn is_refused(error: &std::io::Error) -> bool {
    let cause = error.get_ref();
    cause.is_some_and(|cause| cause.is::<Error>())
}

/// Looks at no name, and without an authority at no certificate: whoever listens on the way is
/// kept out, whoever stands in the way is not.
#[derive(Debug)]
struct Lenient {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is looked at last, when all else is right.
        match authority.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        ) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
