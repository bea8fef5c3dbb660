//! Files beside the log that are not what was written: bytes flipped, cut, gone, older, or another's. The log is whole,
//! so no user sees anything of it.

use super::Seed;
use super::crash::{live, row, seeds};
use super::world::{Perils, ROOT, World};
use crate::sim::{SimDisk, SimRng, block_on};
use skein_base::seam::Disk;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Every snapshot below the accounts' folder.
fn snapshots(disk: &SimDisk) -> Vec<PathBuf> {
    let files = account_files(disk).into_iter();
    files.filter(|path| path.extension().is_none_or(|extension| extension != "pack")).collect()
}

/// Every file below it.
pub fn account_files(disk: &SimDisk) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let names = block_on(disk.list(folder)).unwrap_or_default();
        names.iter().map(|name| folder.join(name)).collect()
    };
    let folders = list(&Path::new(ROOT).join("accounts")).into_iter().flat_map(|above| list(&above));
    folders.flat_map(|folder| list(&folder)).collect()
}

/// What files held in the rounds before.
pub type Past = HashMap<PathBuf, Vec<Vec<u8>>>;

/// Does something to one of the files, and tells which.
pub fn hurt(disk: &SimDisk, rng: &SimRng, files: &[PathBuf], past: &Past) -> PathBuf {
    let any = || &files[rng.below(files.len() as u64) as usize];
    let path = any();
    let Some(mut bytes) = disk.contents(path) else { return path.clone() };
    let place = |bytes: &[u8]| rng.below(bytes.len().max(1) as u64) as usize;
    match rng.below(8) {
        0 => {
            remove(disk, path);
            return path.clone();
        }
        1 => bytes.truncate(place(&bytes)),
        2 => bytes.extend(rng.bytes(1 + rng.below(600) as usize)),
        3 => bytes.fill(0),
        4 => bytes = disk.contents(any()).unwrap_or_default(),
        // Somebody put a file back from yesterday's backup.
        7 => match past.get(path) {
            Some(past) => bytes = past[rng.below(past.len() as u64) as usize].clone(),
            None => bytes.truncate(bytes.len() / 2),
        },
        5 => {
            let (from, len) = (place(&bytes), 1 + rng.below(512) as usize);
            bytes.iter_mut().skip(from).take(len).for_each(|byte| *byte = rng.next() as u8);
        }
        _ => {
            for _ in 0..1 + rng.below(3) {
                let at = place(&bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
    disk.plant(path, bytes);
    path.clone()
}

fn remove(disk: &SimDisk, path: &Path) {
    block_on(async {
        disk.remove(path).await.unwrap();
        disk.sync_dir(path.parent().unwrap()).await.unwrap();
    });
}

/// Lives make files; some are hurt; all must be as it was, and the next life works with them as they are.
fn run(seed: u64) -> Result<u64, String> {
    // Files of yesterday name packs of yesterday.
    let (world, _seed) = (World { compacts: false, ..World::new(seed) }, Seed(seed));
    let (mut rebuilt, mut past) = (0, Past::new());
    for round in 0..4 {
        let (scan, tail) = world.scan();
        let store = world.store(&scan, tail);
        live(&world, std::slice::from_ref(&store), Perils::default());
        rebuilt += store.metrics().snapshots_rebuilt;
        drop(store);
        world.disk.crash();
        world.recover(Perils::default());
        let files = snapshots(&world.disk);
        for path in &files {
            past.entry(path.clone()).or_default().push(world.disk.contents(path).unwrap());
        }
        if round > 0 && !files.is_empty() {
            (0..1 + world.rng.below(3)).for_each(|_| drop(hurt(&world.disk, &world.rng, &files, &past)));
        }
        // The files stay hurt: a check writes nothing, and the next life begins with them.
        rebuilt += world.check()?;
    }
    Ok(rebuilt)
}

#[test]
fn hurt_snapshots_are_made_again_from_the_log() {
    let (seeds, mut rebuilt) = (seeds(250), 0);
    for seed in row(seeds) {
        rebuilt += run(seed).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    println!("{seeds} seeds, {rebuilt} snapshots made again");
    assert!(rebuilt > seeds / 2, "nothing was hurt");
}
