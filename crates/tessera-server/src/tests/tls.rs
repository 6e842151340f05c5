//! TLS, with certificates made here and clients that check them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::world::World;
use crate::{Limits, Tls, serve_tls};

struct Files {
    folder: TempDir,
    pem: String,
}

impl Files {
    /// A certificate for `localhost`, in files.
    fn new() -> Self {
        let mut files = Self { folder: tempfile::tempdir().unwrap(), pem: String::new() };
        files.renew();
        files
    }

    fn renew(&mut self) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        self.pem = cert.pem();
        fs::write(self.certificate(), &self.pem).unwrap();
        fs::write(self.key(), signing_key.serialize_pem()).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }

    fn load(&self) -> Result<Tls, crate::TlsError> {
        Tls::load(&self.certificate(), &self.key())
    }
}

struct Serving {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn start(world: &World, tls: &Arc<Tls>) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (router, tls) = (world.router.clone(), Arc::clone(tls));
    let limits = Limits::default();
    let served = tokio::spawn(async move { serve_tls(listener, router, &limits, tls, stopped).await });
    Serving { address, stop, served }
}

/// `GET /health` by a client that trusts this certificate alone.
async fn health(address: SocketAddr, trusted: &str) -> Result<String, ureq::Error> {
    let certificate = Certificate::from_pem(trusted.as_bytes()).unwrap();
    let url = format!("https://localhost:{}/health", address.port());
    let asked = tokio::task::spawn_blocking(move || {
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[certificate])).build();
        let agent = ureq::Agent::config_builder().tls_config(tls).build().new_agent();
        agent.get(url).call()?.body_mut().read_to_string()
    });
    asked.await.unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served_and_others_are_not() {
    let (world, files) = (World::new(), Files::new());
    let serving = start(&world, &Arc::new(files.load().unwrap())).await;
    assert_eq!(health(serving.address, &files.pem).await.unwrap(), r#"{"status":"ok"}"#);
    let stranger = Files::new();
    let refused = health(serving.address, &stranger.pem).await.unwrap_err().to_string();
    assert!(refused.to_lowercase().contains("certificate"), "{refused}");
    serving.stop.send(()).unwrap();
    serving.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn plain_http_to_the_tls_port_is_closed_and_disturbs_nobody() {
    let (world, files) = (World::new(), Files::new());
    let serving = start(&world, &Arc::new(files.load().unwrap())).await;
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Whatever TLS says of it, then the end: no answer of HTTP, and no hanging.
    let ended = stream.read_to_end(&mut answer).await;
    assert!(ended.is_ok() || ended.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    assert!(!answer.starts_with(b"HTTP"));
    // One that connects and says nothing keeps nobody waiting.
    let silent = TcpStream::connect(serving.address).await.unwrap();
    assert!(health(serving.address, &files.pem).await.is_ok());
    drop(silent);
    serving.stop.send(()).unwrap();
    serving.served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let (world, mut files) = (World::new(), Files::new());
    let tls = Arc::new(files.load().unwrap());
    let serving = start(&world, &tls).await;
    let old = files.pem.clone();
    assert!(health(serving.address, &old).await.is_ok());
    assert!(!tls.reload_if_changed().unwrap());
    files.renew();
    assert!(health(serving.address, &old).await.is_ok(), "until it is told to look");
    tls.reload().unwrap();
    assert!(health(serving.address, &files.pem).await.is_ok());
    assert!(health(serving.address, &old).await.is_err());
    // What cannot be used leaves the one in force.
    fs::write(files.certificate(), "half a fi").unwrap();
    assert_eq!(tls.reload().unwrap_err().code(), "TES-C011");
    assert!(health(serving.address, &files.pem).await.is_ok());
    serving.stop.send(()).unwrap();
    serving.served.await.unwrap().unwrap();
}

#[test]
fn files_that_are_missing_empty_or_of_another_pair_are_told_by_name() {
    let check = |spoil: &dyn Fn(&Files), code: &str, named: &str| {
        let files = Files::new();
        spoil(&files);
        let error = files.load().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(named) && !error.hint().is_empty(), "{error}");
    };
    check(&|files| fs::remove_file(files.certificate()).unwrap(), "TES-C011", "server.pem");
    check(&|files| fs::remove_file(files.key()).unwrap(), "TES-C011", "server.key");
    check(&|files| fs::write(files.certificate(), "").unwrap(), "TES-C011", "server.pem");
    check(&|files| fs::write(files.key(), "nothing").unwrap(), "TES-C011", "server.key");
    let swap = |files: &Files| {
        fs::write(files.certificate(), fs::read(files.key()).unwrap()).unwrap();
    };
    check(&swap, "TES-C011", "server.pem");
    let other_key = |files: &Files| {
        fs::write(files.key(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    };
    check(&other_key, "TES-C012", "server.key");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check(&|files| fs::write(files.certificate(), broken).unwrap(), "TES-C012", "server.pem");
}
