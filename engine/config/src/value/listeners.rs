//! Lists of listeners: `"address:port"`, or tables with more to say.

use super::{Reading, Wrong, gather};
use crate::listener::{BACKLOG_DEFAULT, CertificateFiles, Listener, Place, TlsMode, TrustedProxies, UnixPlace};
use crate::row::Value;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Listeners of one service.
const LISTENERS_MAX: usize = 64;
/// Networks of trusted proxies: each is compared at each connection.
const NETWORKS_MAX: usize = 256;
/// Certificates beside the first: each is a few files to read at each start.
const CERTIFICATES_MAX: usize = 1000;
/// Longest path of a Unix socket: `sun_path` of unix(7) with its NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// A socket's file takes reading, writing and nothing else.
const SOCKET_MODE_MAX: u32 = 0o777;
/// The server's user and its group.
const SOCKET_MODE_DEFAULT: u32 = 0o660;
/// What listen(2) takes.
const BACKLOG_MAX: u64 = 65_535;

const EXAMPLE: &str = "[\"127.0.0.1:1143\", { address = \"[::1]:1143\", tls = \"none\" }]";
const FIELDS: &[&str] =
    &["address", "path", "mode", "owner", "group", "tls", "cert", "key", "proxy", "proxy_networks", "backlog"];

impl Reading<'_> {
    /// `mode` is the service's own: what a listener on TCP does where nothing is written.
    pub(super) fn listeners(&self, value: &Spanned<DeValue<'_>>, mode: TlsMode) -> Result<Value, Vec<Wrong>> {
        let list = self.list(value, LISTENERS_MAX, EXAMPLE)?;
        Ok(Value::Listeners(gather(list.iter().map(|item| match item.get_ref() {
            DeValue::Table(table) => self.listener(item, table, mode),
            _ => Ok(Listener::tcp(self.address(item)?, mode)),
        }))?))
    }

    pub(super) fn address(&self, item: &Spanned<DeValue<'_>>) -> Result<SocketAddr, Wrong> {
        let text = self.text(item)?;
        text.parse().map_err(|_| {
            self.wrong(
                item,
                "is no address with port: write \"127.0.0.1:1143\" or \"[::1]:1143\"; names are not looked up",
            )
        })
    }

    fn listener(
        &self,
        item: &Spanned<DeValue<'_>>,
        table: &DeTable<'_>,
        service: TlsMode,
    ) -> Result<Listener, Vec<Wrong>> {
        let mut wrong = self.strangers(table, FIELDS, "a listener");
        let mut note = |w: Wrong| wrong.push(w);
        let place = self.place(item, table).map_err(&mut note).ok();
        let default = if matches!(place, Some(Place::Unix(_))) { TlsMode::None } else { service };
        let tls = self.tls_mode(table, default).map_err(&mut note).ok();
        let certificate = self.certificate(item, table).map_err(&mut note).ok();
        let proxy = self.proxy(item, table, place.as_ref());
        let proxy = proxy.map_err(|more| more.into_iter().for_each(&mut note)).ok();
        let backlog = self.backlog(table).map_err(&mut note).ok();
        match (place, tls, certificate, proxy, backlog) {
            (Some(place), Some(tls), Some(certificate), Some(proxy), Some(backlog)) if wrong.is_empty() => {
                Ok(Listener { place, tls, certificate, proxy, backlog })
            }
            _ => Err(wrong),
        }
    }

    fn place(&self, item: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Result<Place, Wrong> {
        match (table.get("address"), table.get("path")) {
            (Some(address), None) => match ["mode", "owner", "group"].iter().find_map(|name| table.get(*name)) {
                Some(value) => Err(self.wrong(value, "is for Unix sockets: write path = \"...\" in place of address")),
                None => self.address(address).map(Place::Tcp),
            },
            (None, Some(path)) => self.unix(path, table).map(Place::Unix),
            (None, None) => Err(self.wrong(item, "lacks address = \"127.0.0.1:1143\" or path = \"/run/skein/lmtp\"")),
            (Some(_), Some(path)) => Err(self.wrong(path, "stands beside address: write one of them")),
        }
    }

    fn unix(&self, value: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Result<UnixPlace, Wrong> {
        let path = self.path(value, &self.text(value)?, false)?;
        if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            let text = format!("is too long for a socket: write a path of at most {SOCKET_PATH_BYTES_MAX} bytes");
            return Err(self.wrong(value, text));
        }
        let name =
            |field: &str| table.get(field).map(|value| self.text(value).map(|text| text.into_owned())).transpose();
        Ok(UnixPlace { path, mode: self.mode(table)?, owner: name("owner")?, group: name("group")? })
    }

    /// Written as text, so that nobody takes it for a decimal number.
    fn mode(&self, table: &DeTable<'_>) -> Result<u32, Wrong> {
        let Some(value) = table.get("mode") else { return Ok(SOCKET_MODE_DEFAULT) };
        let mode = u32::from_str_radix(&self.text(value)?, 8).ok().filter(|mode| *mode <= SOCKET_MODE_MAX);
        mode.ok_or_else(|| self.wrong(value, "is no mode: write permissions in octal such as \"0660\""))
    }

    fn tls_mode(&self, table: &DeTable<'_>, default: TlsMode) -> Result<TlsMode, Wrong> {
        let Some(value) = table.get("tls") else { return Ok(default) };
        match self.choice(value, TlsMode::WORDS)? {
            Value::Choice(index) => Ok(TlsMode::ALL[index]),
            _ => unreachable!("a choice gives its index"),
        }
    }

    pub(super) fn certificates(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, Vec<Wrong>> {
        let list = self.list(value, CERTIFICATES_MAX, "[{ cert = \"b.pem\", key = \"b.key\" }]")?;
        let (mut good, mut wrong) = (Vec::new(), Vec::new());
        for item in list.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                wrong.push(self.wrong(item, "write a table such as { cert = \"b.pem\", key = \"b.key\" }"));
                continue;
            };
            wrong.extend(self.strangers(table, &["cert", "key"], "a certificate"));
            match self.certificate(item, table) {
                Ok(Some(files)) => good.push(files),
                Ok(None) => wrong.push(self.wrong(item, "lacks cert = \"...\" and key = \"...\"")),
                Err(w) => wrong.push(w),
            }
        }
        if wrong.is_empty() { Ok(Value::Certificates(good)) } else { Err(wrong) }
    }

    fn certificate(&self, item: &Spanned<DeValue<'_>>, table: &DeTable<'_>) -> Result<Option<CertificateFiles>, Wrong> {
        let path = |value: &Spanned<DeValue<'_>>| self.path(value, &self.text(value)?, false);
        match (table.get("cert"), table.get("key")) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Ok(Some(CertificateFiles { certificate: path(certificate)?, key: path(key)? }))
            }
            _ => Err(self.wrong(item, "has one of cert and key: write both, or neither for tls.cert and tls.key")),
        }
    }

    fn proxy(
        &self,
        item: &Spanned<DeValue<'_>>,
        table: &DeTable<'_>,
        place: Option<&Place>,
    ) -> Result<Option<TrustedProxies>, Vec<Wrong>> {
        let proxied = table.get("proxy").map(|value| self.truth(value)).transpose()?;
        let networks = match table.get("proxy_networks") {
            Some(value) => self.networks(value)?,
            None => Vec::new(),
        };
        match (proxied, place) {
            (Some(true), Some(Place::Tcp(_))) if networks.is_empty() => {
                let text = "believes proxies but names none: write proxy_networks = [\"10.0.0.0/24\"]";
                Err(vec![self.wrong(item, text)])
            }
            (Some(true), _) => Ok(Some(TrustedProxies { networks })),
            _ if !networks.is_empty() => {
                Err(vec![self.wrong(item, "has proxy_networks: write proxy = true beside it")])
            }
            _ => Ok(None),
        }
    }

    pub(super) fn networks(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<IpNet>, Vec<Wrong>> {
        let list = self.list(value, NETWORKS_MAX, "[\"10.0.0.0/24\", \"192.0.2.7\"]")?;
        let read = |item: &Spanned<DeValue<'_>>| {
            let text = self.text(item)?;
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.ok_or_else(|| {
                self.wrong(item, "is no network: write \"10.0.0.0/24\", or one address such as \"192.0.2.7\"")
            })
        };
        super::gather(list.iter().map(read))
    }

    fn backlog(&self, table: &DeTable<'_>) -> Result<u32, Wrong> {
        let Some(value) = table.get("backlog") else { return Ok(BACKLOG_DEFAULT) };
        match self.integer(value, 1, BACKLOG_MAX, "connections")? {
            Value::Integer(n) => Ok(u32::try_from(n).expect("within the bounds")),
            _ => unreachable!("an integer gives a number"),
        }
    }
}
