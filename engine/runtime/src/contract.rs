//! What every [`Disk`] must do, real or simulated: run it in an empty folder of the disk at hand.
//!
//! It says nothing about crashes: those are the simulator's own subject.

use std::io::ErrorKind;
use std::path::Path;

use skein_base::seam::Disk;

/// Runs all checks in `root`, a folder that does not exist yet and is left behind.
///
/// # Panics
/// At the first promise that is broken.
pub async fn check_disk<D: Disk>(disk: &D, root: &Path) {
    folders_are_made_listed_and_synced(disk, root).await;
    files_are_made_once_and_opened_often(disk, &root.join("files")).await;
    bytes_come_back(disk, &root.join("bytes")).await;
    durable_writes_come_back(disk, &root.join("durable")).await;
    truncate_cuts(disk, &root.join("cut")).await;
    rename_replaces(disk, &root.join("rename")).await;
    maps_survive_their_name(disk, &root.join("map")).await;
}

async fn folders_are_made_listed_and_synced<D: Disk>(disk: &D, root: &Path) {
    assert_eq!(disk.list(root).await.unwrap_err().kind(), ErrorKind::NotFound);
    let deep = root.join("folders/b/c");
    disk.create_dir_all(&deep).await.unwrap();
    disk.create_dir_all(&deep).await.unwrap();
    for name in ["2", "10", "1"] {
        disk.create(&deep.join(name)).await.unwrap();
    }
    disk.sync_dir(&deep).await.unwrap();
    assert_eq!(disk.list(&deep).await.unwrap(), ["1", "10", "2"]);
    disk.remove(&deep.join("10")).await.unwrap();
    assert_eq!(disk.remove(&deep.join("10")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.list(&deep).await.unwrap(), ["1", "2"]);
    assert_eq!(disk.list(&root.join("folders")).await.unwrap(), ["b"]);
}

async fn files_are_made_once_and_opened_often<D: Disk>(disk: &D, folder: &Path) {
    disk.create_dir_all(folder).await.unwrap();
    let path = folder.join("once");
    assert_eq!(error_kind(disk.open(&path).await), ErrorKind::NotFound);
    assert_eq!(error_kind(disk.create(&folder.join("missing/once")).await), ErrorKind::NotFound);
    let first = disk.create(&path).await.unwrap();
    assert_eq!(error_kind(disk.create(&path).await), ErrorKind::AlreadyExists);
    let second = disk.open(&path).await.unwrap();
    disk.write_at(&first, 0, b"seen by both".to_vec()).await.unwrap();
    assert_eq!(disk.read_at(&second, 0, 100).await.unwrap(), b"seen by both");
    disk.remove(&path).await.unwrap();
    assert_eq!(disk.read_at(&second, 8, 4).await.unwrap(), b"both", "an open file outlives its name");
}

async fn bytes_come_back<D: Disk>(disk: &D, folder: &Path) {
    disk.create_dir_all(folder).await.unwrap();
    let file = disk.create(&folder.join("bytes")).await.unwrap();
    assert_eq!(disk.len(&file).await.unwrap(), 0);
    assert_eq!(disk.read_at(&file, 0, 10).await.unwrap(), b"");
    assert_eq!(disk.write_at(&file, 0, Vec::new()).await.unwrap(), b"");
    let long: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
    assert_eq!(disk.write_at(&file, 5, long.clone()).await.unwrap(), long, "the buffer is given back");
    assert_eq!(disk.len(&file).await.unwrap(), 1_000_008);
    assert_eq!(disk.read_at(&file, 0, 8).await.unwrap(), [0, 0, 0, 0, 0, 0, 1, 2], "a gap reads as zeros");
    assert_eq!(disk.read_at(&file, 5, long.len()).await.unwrap(), long);
    assert_eq!(disk.read_at(&file, 1_000_000, 100).await.unwrap().len(), 8, "short only at the end");
    assert_eq!(disk.read_at(&file, 2_000_000, 100).await.unwrap(), b"", "nothing after the end");
    if let Some(cached) = disk.read_cached(&file, 1_000_000, 100) {
        assert_eq!(cached, long[999_995..]);
    }
    if let Some(cached) = disk.read_cached(&file, 5, 7) {
        assert_eq!(cached, long[..7]);
    }
    disk.fdatasync(&file).await.unwrap();
}

async fn durable_writes_come_back<D: Disk>(disk: &D, folder: &Path) {
    disk.create_dir_all(folder).await.unwrap();
    let path = folder.join("log");
    let file = disk.create_durable(&path).await.unwrap();
    assert_eq!(error_kind(disk.create_durable(&path).await), ErrorKind::AlreadyExists);
    assert_eq!(error_kind(disk.create_durable(&folder.join("missing/log")).await), ErrorKind::NotFound);
    assert_eq!(disk.write_durable(&file, 0, Vec::new()).await.unwrap(), b"");
    let long: Vec<u8> = (0..1_000_003u32).map(|i| (i % 251) as u8).collect();
    assert_eq!(disk.write_durable(&file, 0, long.clone()).await.unwrap(), long, "the buffer is given back");
    let again = disk.open(&path).await.unwrap();
    disk.write_durable(&again, 1_000_003, b"next".to_vec()).await.unwrap();
    assert_eq!(disk.read_at(&file, 0, 2_000_000).await.unwrap(), [&long[..], b"next"].concat());
}

async fn truncate_cuts<D: Disk>(disk: &D, folder: &Path) {
    disk.create_dir_all(folder).await.unwrap();
    let file = disk.create(&folder.join("log")).await.unwrap();
    disk.write_at(&file, 0, b"whole|torn".to_vec()).await.unwrap();
    disk.truncate(&file, 6).await.unwrap();
    assert_eq!(disk.len(&file).await.unwrap(), 6);
    disk.write_at(&file, 6, b"next".to_vec()).await.unwrap();
    assert_eq!(disk.read_at(&file, 0, 100).await.unwrap(), b"whole|next");
}

async fn rename_replaces<D: Disk>(disk: &D, folder: &Path) {
    disk.create_dir_all(folder).await.unwrap();
    let (old, new) = (folder.join("snapshot"), folder.join("snapshot.new"));
    for (path, text) in [(&old, "old"), (&new, "new")] {
        let file = disk.create(path).await.unwrap();
        disk.write_at(&file, 0, text.into()).await.unwrap();
    }
    disk.rename(&new, &old).await.unwrap();
    disk.sync_dir(folder).await.unwrap();
    assert_eq!(disk.list(folder).await.unwrap(), ["snapshot"]);
    let file = disk.open(&old).await.unwrap();
    assert_eq!(disk.read_at(&file, 0, 100).await.unwrap(), b"new");
    assert_eq!(disk.rename(&new, &old).await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn maps_survive_their_name<D: Disk>(disk: &D, folder: &Path) {
    disk.create_dir_all(folder).await.unwrap();
    let path = folder.join("index");
    assert_eq!(error_kind(disk.map(&path).await), ErrorKind::NotFound);
    let file = disk.create(&path).await.unwrap();
    assert_eq!(disk.map(&path).await.unwrap().len(), 0);
    let bytes = vec![7; 10_000];
    disk.write_at(&file, 0, bytes.clone()).await.unwrap();
    let map = disk.map(&path).await.unwrap();
    let empty = folder.join("empty");
    disk.create(&empty).await.unwrap();
    let mut all = disk.map_all(vec![path.clone(), folder.join("none"), empty]).await.into_iter();
    assert_eq!(all.next().unwrap().unwrap()[..], bytes);
    assert_eq!(error_kind(all.next().unwrap()), ErrorKind::NotFound);
    assert!(all.next().unwrap().unwrap().is_empty() && all.next().is_none(), "one for each, in their order");
    disk.remove(&path).await.unwrap();
    assert_eq!(map.clone()[..], bytes);
}

fn error_kind<T>(result: std::io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("an error was due"),
        Err(error) => error.kind(),
    }
}
