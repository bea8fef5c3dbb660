//! What Skein says of itself on `listeners.http`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// All of it.
///
/// # Errors
/// The connection's.
pub fn read(addr: SocketAddr) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("metrics: {e}");
    let mut stream = TcpStream::connect(addr).map_err(failed)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// The sum of a metric over the shards.
pub fn sum(metrics: &str, name: &str) -> f64 {
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    metrics.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_added_up() {
        let metrics = "# TYPE a gauge\na{shard=\"0\"} 1.5\na{shard=\"1\"} 2\na_total 7\nb 9\n";
        assert_eq!((sum(metrics, "a"), sum(metrics, "b"), sum(metrics, "c")), (3.5, 9.0, 0.0));
    }
}
