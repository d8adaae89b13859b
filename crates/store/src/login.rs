//! How a driver that speaks to PostgreSQL itself logs in.

use tokio_postgres::config::Host;
use zeroize::Zeroizing;

use crate::{
    connect::{Address, take_option},
    error::Error,
    key::RootKey,
    platform,
};

/// The settings that model's names need; servers have the same.
const OPTIONS: &str = "-c search_path=pg_catalog,app,freehold_ext,pg_temp";

/// The login of `freehold_app`. It opens no tenant.
pub struct Login {
    /// Name or address of the server, or the folder of its socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// `sslmode` and `sslrootcert`, as far as the operator's URL names them.
    pub tls: Vec<(&'static str, String)>,
    password: Zeroizing<String>,
}

impl Login {
    /// The login for the database of the operator's URL.
    ///
    /// # Errors
    /// `Usage` if the URL cannot be read.
    pub fn of(url: &str, root_key: &RootKey) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        let config = address.config();
        let host = match (config.get_hosts().first(), config.get_hostaddrs().first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (Some(Host::Unix(folder)), _) => folder.display().to_string(),
            (None, addr) => addr.map_or_else(String::new, ToString::to_string),
        };
        let named = |name: &'static str| Some((name, take_option(url, name).1?));
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            database: address.database().to_owned(),
            tls: ["sslmode", "sslrootcert"].into_iter().filter_map(named).collect(),
            password: root_key.app_password(),
        })
    }

    /// The role.
    #[must_use]
    pub fn user(&self) -> &'static str {
        platform::APP
    }

    /// A URL without the password.
    #[must_use]
    pub fn url(&self) -> String {
        let mut url = format!("postgresql://{}@", self.user());
        let mut options = Vec::new();
        if self.host.starts_with('/') {
            options.push(format!("host={}", encoded(&self.host)));
            options.push(format!("port={}", self.port));
        } else if self.host.contains(':') {
            url += &format!("[{}]:{}", self.host, self.port);
        } else {
            url += &format!("{}:{}", self.host, self.port);
        }
        options.extend(self.tls.iter().map(|(name, value)| format!("{name}={}", encoded(value))));
        options.push(format!("options={}", encoded(OPTIONS)));
        format!("{url}/{}?{}", encoded(&self.database), options.join("&"))
    }

    /// The line of a password file of libpq (`PGPASSFILE`), with its end.
    #[must_use]
    pub fn pass_line(&self) -> Zeroizing<String> {
        let field = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let (host, database) = (field(&self.host), field(&self.database));
        let (user, password) = (self.user(), &*self.password);
        Zeroizing::new(format!("{host}:{}:{database}:{user}:{password}\n", self.port))
    }
}

// Nothing of the password.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url())
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~,".contains(byte);
    text.bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_has_what_drivers_need_and_no_password() {
        let of = |url: &str| Login::of(url, &RootKey::new([7; 32])).unwrap();
        let options = "options=-c%20search_path%3Dpg_catalog,app,freehold_ext,pg_temp";
        for (url, login) in [
            ("postgres://op:secret@h:5433/shop", "h:5433/shop?"),
            ("host=/run/pg dbname=a'b", "/a%27b?host=%2Frun%2Fpg&port=5432&"),
            ("postgres://[::1]/d?sslmode=require", "[::1]:5432/d?sslmode=require&"),
        ] {
            assert_eq!(of(url).url(), format!("postgresql://freehold_app@{login}{options}"));
            assert!(of(url).url().parse::<tokio_postgres::Config>().is_ok(), "{url}");
        }
        let line = of("host=/run/a:b dbname=d").pass_line();
        assert!(
            line.starts_with("/run/a\\:b:5432:d:freehold_app:") && line.len() == 95,
            "{}",
            *line
        );
    }
}
