//! Opens many QUIC connections and leaves them idle: what a handshake and an idle connection cost the server.
//!
//! ```text
//! maru serve --data DIR --hello-timeout-ms 600000 --shards 1
//! quic_idle 127.0.0.1:8081 4000 SERVER_PID
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Instant;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

/// Handshakes on the way at once.
const AT_ONCE: usize = 64;

/// A measurement need not know who answers.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Resident memory of a process in KiB, and its processor time in ticks of 10 ms.
fn cost(pid: &str) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    (rss.split_whitespace().next().unwrap().parse().unwrap(), ticks)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (address, count, pid) = (args[1].parse().unwrap(), args[2].parse::<usize>().unwrap(), &args[3]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"maru/1".to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(config);
    let mut held = Vec::with_capacity(count);
    for warm in [true, false] {
        let wanted = if warm { count / 10 } else { count };
        let ((rss, ticks), began) = (cost(pid), Instant::now());
        let mut connecting = tokio::task::JoinSet::new();
        let (mut begun, mut done) = (0, 0);
        while done < wanted {
            while begun < wanted && connecting.len() < AT_ONCE {
                let attempt = endpoint.connect(address, "localhost").unwrap();
                connecting.spawn(async move { attempt.await });
                begun += 1;
            }
            held.push(connecting.join_next().await.unwrap().unwrap().unwrap());
            done += 1;
        }
        let seconds = began.elapsed().as_secs_f64();
        // Acknowledgements and new connection ids are on their way.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let (rss_now, ticks_now) = cost(pid);
        if !warm {
            let open = held.iter().filter(|connection| connection.close_reason().is_none()).count();
            println!(
                "{wanted} handshakes in {seconds:.2} s: {:.0}/s; server {:.0} us each; {:.1} KiB resident each; {open} open",
                wanted as f64 / seconds,
                (ticks_now - ticks) as f64 * 10_000.0 / wanted as f64,
                (rss_now as f64 - rss as f64) / wanted as f64,
            );
        }
    }
}
