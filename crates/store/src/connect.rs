//! From a URL to a connection.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use freehold_model::{Code, Refusal};
use rustls::{
    ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _,
};
use tokio_postgres::{Client, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    error::{Error, Fault},
    refusal::explain,
};

/// The other half of a [`Client`]: moves bytes while it is polled, ends with the connection.
pub(crate) type Wire = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Where a server is and how to speak to it.
#[derive(Clone)]
pub(crate) struct Address {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

impl Address {
    /// Reads a `postgresql://` URL or a `key=value` text. `sslmode=require`, `verify-ca` and `verify-full` all mean TLS with
    /// the server's certificate verified, by `sslrootcert` or the certificates of this machine; every other mode means no TLS.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let refuse = |why: String| {
            Refusal::new(Code::Usage, "the database's URL cannot be read")
                .detail(why)
                .hint("postgresql://user@host:5432/database?sslmode=require")
        };
        let (url, root_certificate) = take_option(url, "sslrootcert");
        let url = url
            .replace("sslmode=verify-full", "sslmode=require")
            .replace("sslmode=verify-ca", "sslmode=require");
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| refuse(chain(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refuse("it names no host".into()).into());
        }
        if config.get_dbname().is_none() {
            return Err(refuse("it names no database".into()).into());
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Require => {
                Some(MakeRustlsConnect::new(tls_config(root_certificate.as_deref())?))
            }
            _ => {
                config.ssl_mode(SslMode::Disable);
                None
            }
        };
        config.application_name("freehold");
        Ok(Self { config, tls })
    }

    pub(crate) fn config(&self) -> &tokio_postgres::Config {
        &self.config
    }

    pub(crate) fn database(&self) -> &str {
        self.config.get_dbname().expect("parse() demands one")
    }

    /// Whether the server's processes are this machine's, as far as the address says.
    pub(crate) fn is_local(&self) -> bool {
        use tokio_postgres::config::Host;
        self.config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
            && self.config.get_hosts().iter().all(|host| match host {
                Host::Unix(_) => true,
                Host::Tcp(name) => {
                    name == "localhost"
                        || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
                }
            })
    }

    pub(crate) fn login(mut self, user: &str, password: &str) -> Self {
        self.config.user(user).password(password);
        self
    }

    /// Settings for the startup packet; they win over those of the role and the database.
    pub(crate) fn settings(mut self, settings: &[(&str, &str)]) -> Self {
        let options: Vec<String> = settings
            .iter()
            .map(|(name, value)| format!("-c {name}={}", value.replace(' ', "\\ ")))
            .collect();
        self.config.options(options.join(" "));
        self
    }

    pub(crate) async fn connect(&self, deadline: Duration) -> Result<(Client, Wire), Error> {
        let connecting = async {
            let pair: (Client, Wire) = match &self.tls {
                Some(tls) => {
                    let (client, wire) = self.config.connect(tls.clone()).await?;
                    (client, Box::pin(wire))
                }
                None => {
                    let (client, wire) = self.config.connect(NoTls).await?;
                    (client, Box::pin(wire))
                }
            };
            Ok::<_, tokio_postgres::Error>(pair)
        };
        match tokio::time::timeout(deadline, connecting).await {
            Ok(Ok(pair)) => Ok(pair),
            Ok(Err(error)) => Err(self.refused(error)),
            Err(elapsed) => Err(Fault::unavailable("connecting to PostgreSQL", elapsed).into()),
        }
    }

    /// Asks the server to stop what a connection is doing. Nobody waits for the outcome.
    pub(crate) async fn cancel(&self, token: &tokio_postgres::CancelToken) {
        let asked = match &self.tls {
            Some(tls) => token.cancel_query(tls.clone()).await,
            None => token.cancel_query(NoTls).await,
        };
        if let Err(error) = asked {
            tracing::debug!(error = chain(&error), "a statement could not be cancelled");
        }
    }

    fn refused(&self, error: tokio_postgres::Error) -> Error {
        let state = error.code().map(|state| state.code().to_owned());
        let user = self.config.get_user().unwrap_or("the user").to_owned();
        let refuse = |message: String, hint: &str| {
            Error::Refused(Refusal::new(Code::Server, message).hint(hint))
        };
        match state.as_deref() {
            Some("28P01") => refuse(
                format!("PostgreSQL refuses the password of {user}"),
                "the root key must be the one the server was set up with; if it is, `freehold apply` sets the password right",
            ),
            Some("28000") => refuse(
                format!("PostgreSQL refuses {user}"),
                "pg_hba.conf must allow this login; a server that demands TLS needs sslmode=require in the URL",
            ),
            Some("3D000") => refuse(
                format!("there is no database {}", self.database()),
                "create it, or name another in the URL",
            ),
            _ => explain("connecting to PostgreSQL", error),
        }
    }
}

fn tls_config(root_certificate: Option<&str>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = root_certificate {
        let refuse = |why: String| {
            Refusal::new(Code::Usage, "the file in sslrootcert cannot be read")
                .detail(format!("{path}: {why}"))
        };
        for certificate in
            CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?
        {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new("preparing TLS", error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

// The driver does not know every option of libpq.
pub(crate) fn take_option(url: &str, name: &str) -> (String, Option<String>) {
    let Some(start) = url.find(&format!("{name}=")) else { return (url.to_owned(), None) };
    let value = &url[start + name.len() + 1..];
    let end = value.find(['&', ' ']).unwrap_or(value.len());
    let mut rest = format!("{}{}", &url[..start], value[end..].trim_start_matches('&'));
    while rest.ends_with(['&', '?', ' ']) {
        rest.pop();
    }
    (rest, Some(value[..end].replace("%2F", "/")))
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_the_driver_does_not_know_are_taken_out() {
        for (url, rest) in [
            (
                "postgres://h/d?sslrootcert=/a/b.pem&sslmode=require",
                "postgres://h/d?sslmode=require",
            ),
            (
                "postgres://h/d?sslmode=require&sslrootcert=%2Fa%2Fb.pem",
                "postgres://h/d?sslmode=require",
            ),
            ("host=h sslrootcert=/a/b.pem dbname=d", "host=h  dbname=d"),
        ] {
            assert_eq!(
                take_option(url, "sslrootcert"),
                (rest.to_owned(), Some("/a/b.pem".to_owned()))
            );
        }
    }

    #[test]
    fn a_url_without_host_or_database_is_refused() {
        for url in ["postgres:///d", "postgres://h", "nonsense"] {
            assert!(
                matches!(Address::parse(url), Err(Error::Refused(refusal)) if refusal.code == Code::Usage),
                "{url}"
            );
        }
    }
}
