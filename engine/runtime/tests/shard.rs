//! Real shards: tasks, panics, timers, lanes, the side runtime, the disk.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use skein_base::ShardId;
use skein_base::seam::Disk;
use skein_runtime::{
    Class, Deadline, Elapsed, Lanes, RealDisk, ShardContext, ShardsConfig, Side, TaskError, bulk_yield, metrics,
    oneshot, shard_id, sleep, spawn, spawn_blocking, start, timeout,
};

/// Runs `main` on one shard and gives its result.
fn on_a_shard<T: Send + 'static, F: Future<Output = T> + 'static>(
    main: impl Fn(ShardContext) -> F + Send + Sync + 'static,
) -> T {
    let side = Side::start().unwrap();
    let shards = start(ShardsConfig::for_tests(1), &side, main).unwrap_or_else(|error| panic!("{error}"));
    let result = shards.join().remove(0).unwrap();
    side.stop();
    result
}

#[test]
fn a_panic_ends_one_task_and_is_told_to_who_waits() {
    on_a_shard(|_| async {
        let before = metrics::TASK_PANICS.total();
        let (sender, receiver) = oneshot::channel::<()>();
        let bad = spawn(Class::Session, ("imap", 7), async move {
            let _held = sender;
            bulk_yield().await;
            panic!("no such mailbox {}", 3);
        });
        let good = spawn(Class::Delivery, "lmtp", async { 5 });
        match bad.await {
            Err(TaskError::Panicked(panicked)) => assert_eq!(panicked.message, "no such mailbox 3"),
            other => panic!("{:?}", other.map(|()| "no panic")),
        }
        assert_eq!(receiver.await, Err(oneshot::Dropped));
        assert_eq!(good.await, Ok(5));
        assert_eq!(spawn_blocking(|| -> u8 { panic!("in the pool") }).await.unwrap_err().message, "in the pool");
        assert_eq!(spawn_blocking(|| 6).await, Ok(6));
        assert!(metrics::TASK_PANICS.total() > before);
    });
}

#[test]
fn a_dropped_task_runs_on_and_a_cancelled_one_does_not() {
    on_a_shard(|_| async {
        let (sender, receiver) = oneshot::channel();
        drop(spawn(Class::Bulk, "drain", async move {
            bulk_yield().await;
            sender.send("ran on").unwrap();
        }));
        assert_eq!(receiver.await, Ok("ran on"));
        let stuck = spawn(Class::Session, "stuck", std::future::pending::<()>());
        stuck.cancel();
        assert_eq!(stuck.await, Err(TaskError::Cancelled));
    });
}

#[test]
fn a_dead_shard_is_reported() {
    let side = Side::start().unwrap();
    let shards = start(ShardsConfig::for_tests(2), &side, |context| async move {
        assert!(context.id.0 != 1, "shard one falls");
        context.signal_ready();
    });
    let shards = shards.unwrap();
    assert!(!shards.wait_ready());
    let results = shards.join();
    assert_eq!(results[0], Ok(()));
    assert_eq!(results[1].as_ref().unwrap_err().to_string(), "shard 1 died: shard one falls");
}

#[test]
fn timers_ring_in_order_and_leave_when_dropped() {
    on_a_shard(|_| async {
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let tasks: Vec<_> = [30u64, 10, 20]
            .map(|ms| {
                let order = order.clone();
                spawn(Class::Session, ("timer", ms), async move {
                    sleep(Duration::from_millis(ms)).await;
                    order.borrow_mut().push(ms);
                })
            })
            .into();
        let begun = Instant::now();
        assert_eq!(timeout(Duration::from_millis(5), std::future::pending::<()>()).await, Err(Elapsed));
        assert!(begun.elapsed() >= Duration::from_millis(5));
        assert_eq!(timeout(Duration::from_secs(60), async { 4 }).await, Ok(4));
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.borrow(), [10, 20, 30]);
        let deadline = Deadline::after(Duration::ZERO);
        assert!(deadline.passed() && deadline.limit(std::future::pending::<()>()).await.is_err());
    });
}

#[test]
fn ten_thousand_deadlines_wait_together() {
    on_a_shard(|_| async {
        let rung = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..10_000u64)
            .map(|number| {
                let rung = rung.clone();
                spawn(Class::Session, ("deadline", number), async move {
                    sleep(Duration::from_micros(number * 7 % 20_000)).await;
                    rung.set(rung.get() + 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(rung.get(), 10_000);
    });
}

#[test]
fn a_session_is_served_while_bulk_work_runs() {
    on_a_shard(|_| async {
        let stop = Rc::new(Cell::new(false));
        let bulk = spawn(Class::Bulk, "merge", {
            let stop = stop.clone();
            async move {
                while !stop.get() {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_micros(100) {}
                    bulk_yield().await;
                }
            }
        });
        let begun = Instant::now();
        for _ in 0..20 {
            sleep(Duration::from_millis(1)).await;
        }
        // Without classes and yields each round takes 100 ms.
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        stop.set(true);
        bulk.await.unwrap();
    });
}

#[test]
fn messages_cross_shards_and_come_from_foreign_threads() {
    let side = Side::start().unwrap();
    let (lanes, inboxes) = Lanes::<u32>::new(2, 2000);
    let inboxes = std::sync::Mutex::new(inboxes.into_iter().map(Some).collect::<Vec<_>>());
    let to_shards = lanes.clone();
    let shards = start(ShardsConfig::for_tests(2), &side, move |context| {
        let inbox = inboxes.lock().unwrap()[usize::from(context.id.0)].take().unwrap();
        let lanes = to_shards.clone();
        async move {
            assert_eq!(shard_id(), Some(context.id));
            context.signal_ready();
            let other = ShardId(1 - context.id.0);
            let sender = spawn(Class::Session, "sender", async move {
                for number in 1..=1000 {
                    lanes.send(other, number).unwrap();
                    bulk_yield().await;
                }
            });
            let mut sum = 0;
            for _ in 0..1001 {
                sum += inbox.recv().await.unwrap();
            }
            sender.await.unwrap();
            sum
        }
    });
    let shards = shards.unwrap();
    assert!(shards.wait_ready());
    lanes.send(ShardId(0), 1_000_000).unwrap();
    lanes.send(ShardId(1), 2_000_000).unwrap();
    assert_eq!(shards.join(), [Ok(1_500_500), Ok(2_500_500)]);
}

#[test]
fn the_side_runtime_answers_and_tokio_does_not_panic_on_a_shard() {
    on_a_shard(|context| async move {
        let answer = context.side.spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            "from the side"
        });
        assert_eq!(answer.await, Ok("from the side"));
        assert!(context.side.spawn(async { panic!("over there") }).await.is_err());
        assert_eq!(context.side.spawn(async { 1 }).await, Ok(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn the_disk_keeps_its_contract() {
    let root = std::env::temp_dir().join(format!("skein-disk-{}", std::process::id()));
    let there = root.clone();
    on_a_shard(move |_| {
        let root = there.clone();
        async move {
            skein_runtime::contract::check_disk(&RealDisk, &root).await;
            // /dev/full refuses every write with ENOSPC, which is 28.
            let full = RealDisk.open("/dev/full".as_ref()).await.unwrap();
            assert_eq!(RealDisk.write_at(&full, 0, vec![1]).await.unwrap_err().raw_os_error(), Some(28));
        }
    });
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn the_heartbeat_is_measured() {
    on_a_shard(|_| async {
        let before = metrics::SHARD_LATE.count();
        while metrics::SHARD_LATE.count() == before {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(metrics::render().contains("skein_shard_late_seconds_bucket{shard=\"0\",le=\"0.0001\"}"));
    });
}
