//! TLS for the server: certificate and key from PEM files, changed without a restart.
//!
//! Invariants: TLS 1.2 or later; a certificate whose key is another's is refused when it is loaded, not when a
//! client comes; a change that cannot be used leaves the old one in force. Reference: RFC 8446; RFC 7468.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or unreadable.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("`{}` holds no {what} in PEM form", file.display())]
    Empty {
        /// Which.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not belong together.
    #[error("the key in `{}` is not that of the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Certificate or key is of a kind that cannot be used.
    #[error("the certificate in `{}` cannot be used", certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl TlsError {
    /// Stable; `docs/reference/errors` has a page for each.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } | Self::Empty { .. } => "TES-C011",
            Self::Mismatch { .. } | Self::Unusable { .. } => "TES-C012",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Read { .. } => {
                "check `server.tls_certificate`, `server.tls_key` and the permissions of the files they name"
            }
            Self::Empty { .. } => {
                "give `server.tls_certificate` the whole chain, the server's own first, and `server.tls_key` its key"
            }
            Self::Mismatch { .. } => {
                "name the key that the certificate was made with, and the server's own certificate first"
            }
            Self::Unusable { .. } => "use an X.509 v3 certificate with an RSA, ECDSA or Ed25519 key",
        }
    }
}

/// What the server shows to clients, and where it comes from.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
    /// When the files were changed, as of the last load.
    changed_at: Mutex<[Option<SystemTime>; 2]>,
}

impl Tls {
    /// Reads certificate chain and key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let changed_at = Mutex::new([changed_at(certificate), changed_at(key)]);
        let config = ArcSwap::new(read(certificate, key)?);
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), config, changed_at })
    }

    /// Reads the files again; connections made from now on see what they hold.
    ///
    /// # Errors
    /// [`TlsError`]: nothing has changed then.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.changed_at.lock() = [changed_at(&self.certificate), changed_at(&self.key)];
        self.config.store(read(&self.certificate, &self.key)?);
        Ok(())
    }

    /// Reads the files again if one of them has changed, and says whether it did.
    ///
    /// # Errors
    /// As [`Self::reload`], once for each change.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let is_same = *self.changed_at.lock() == [changed_at(&self.certificate), changed_at(&self.key)];
        if is_same {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let text =
        |file: &Path| fs::read(file).map_err(|source| TlsError::Read { file: file.to_owned(), source });
    let empty = |file: &Path, what| TlsError::Empty { file: file.to_owned(), what };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|_| empty(certificate, "certificate"))?;
    if chain.is_empty() {
        return Err(empty(certificate, "certificate"));
    }
    let private = PrivateKeyDer::from_pem_slice(&text(key)?).map_err(|_| empty(key, "private key"))?;
    let unusable = |source| TlsError::Unusable { certificate: certificate.to_owned(), source };
    let provider = Arc::new(ring::default_provider());
    let signer = provider.key_provider.load_private_key(private).map_err(unusable)?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(TlsError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() });
        }
        Err(source) => return Err(unusable(source)),
    }
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
