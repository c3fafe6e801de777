//! A program on the zookeeper-client crate, unchanged: see ../programs.py.
//!
//! ```text
//! coord-rust-client tree|watches|multi|locks|config HOSTS   ends with 0 if all is as it should be
//! coord-rust-client write HOSTS FOLDER                      creates until its input ends
//! ```

use std::time::Duration;

use tokio::io::AsyncReadExt;
use zookeeper_client::{
    Acls, AddWatchMode, Client, CreateMode, CreateOptions, Error, EventType, LockOptions,
    LockPrefix,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const PLAIN: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());
const SEQUENTIAL: CreateOptions<'static> =
    CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
const EPHEMERAL: CreateOptions<'static> = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
const CONTAINER: CreateOptions<'static> = CreateMode::Container.with_acls(Acls::anyone_all());
const MINE: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::creator_all());

async fn connect(hosts: &str) -> Result<Client, Error> {
    Client::connector().with_session_timeout(Duration::from_secs(30)).connect(hosts).await
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["tree", hosts] => tree(hosts).await,
        ["watches", hosts] => watches(hosts).await,
        ["multi", hosts] => multi(hosts).await,
        ["locks", hosts] => locks(hosts).await,
        ["config", hosts] => config(hosts).await,
        ["write", hosts, folder] => write(hosts, folder).await,
        _ => Err("what, and HOSTS".into()),
    }
}

async fn tree(hosts: &str) -> Outcome {
    let zk = connect(hosts).await?;
    let (stat, _) = zk.create("/rs", b"one", &PLAIN).await?;
    assert_eq!((stat.version, stat.data_length, stat.czxid), (0, 3, stat.pzxid));
    assert_eq!(zk.create("/rs", b"", &PLAIN).await.unwrap_err(), Error::NodeExists);
    let (_, number) = zk.create("/rs/s-", b"", &SEQUENTIAL).await?;
    assert_eq!(number.to_string(), "0000000000");
    let (stat, _) = zk.create("/rs/e", b"", &EPHEMERAL).await?;
    assert_ne!(stat.ephemeral_owner, 0);
    zk.create("/rs/box", b"", &CONTAINER).await?;
    zk.create("/rs/ttl", b"", &PLAIN.clone().with_ttl(Duration::from_secs(100))).await?;
    zk.mkdir("/rs/a/b/c", &PLAIN).await?;
    assert_eq!(zk.count_descendants_number("/rs").await?, 7);
    assert_eq!(zk.list_ephemerals("/rs").await?, ["/rs/e"]);
    let (data, stat) = zk.get_data("/rs").await?;
    assert_eq!((&data[..], stat.num_children), (&b"one"[..], 5));
    assert_eq!(zk.set_data("/rs", b"two", Some(0)).await?.version, 1);
    assert_eq!(zk.set_data("/rs", b"", Some(0)).await.unwrap_err(), Error::BadVersion);
    assert_eq!(zk.delete("/rs", None).await.unwrap_err(), Error::NotEmpty);
    assert_eq!(zk.get_data("/none").await.unwrap_err(), Error::NoNode);
    assert!(zk.check_stat("/none").await?.is_none());
    zk.sync("/rs").await?;
    zk.auth("digest", b"bob:secret").await?;
    let users = zk.list_auth_users().await?;
    assert!(users.iter().any(|user| (user.scheme(), user.user()) == ("digest", "bob")));
    zk.create("/rs/mine", b"", &MINE).await?;
    let stranger = connect(hosts).await?;
    assert_eq!(stranger.get_data("/rs/mine").await.unwrap_err(), Error::NoAuth);
    assert_eq!(stranger.check_stat("/rs/mine").await.unwrap_err(), Error::NoAuth);
    let (acl, stat) = zk.get_acl("/rs/mine").await?;
    assert_eq!((acl[0].scheme(), stat.aversion), ("digest", 0));
    assert_eq!(zk.set_acl("/rs/mine", &Acls::anyone_all(), Some(0)).await?.aversion, 1);
    stranger.get_data("/rs/mine").await?;
    Ok(())
}

async fn config(hosts: &str) -> Outcome {
    let (text, _) = connect(hosts).await?.get_config().await?;
    let text = String::from_utf8(text)?;
    assert_eq!(text.matches("server.").count(), 3, "{text}");
    assert!(text.contains("\nversion="), "{text}");
    Ok(())
}

async fn watches(hosts: &str) -> Outcome {
    let (zk, other) = (connect(hosts).await?, connect(hosts).await?);
    let (there, watcher) = zk.check_and_watch_stat("/rsw").await?;
    assert!(there.is_none());
    other.create("/rsw", b"", &PLAIN).await?;
    assert_eq!(watcher.changed().await.event_type, EventType::NodeCreated);
    let (_, _, data) = zk.get_and_watch_data("/rsw").await?;
    let (_, children) = zk.list_and_watch_children("/rsw").await?;
    other.set_data("/rsw", b"1", None).await?;
    other.create("/rsw/k", b"", &PLAIN).await?;
    let event = data.changed().await;
    assert_eq!(event.event_type, EventType::NodeDataChanged);
    // ZooKeeper 3.9 tells with every event which change it was.
    assert_eq!(event.zxid, other.check_stat("/rsw").await?.unwrap().mzxid);
    assert_eq!(children.changed().await.event_type, EventType::NodeChildrenChanged);

    let mut once = zk.watch("/rsw", AddWatchMode::Persistent).await?;
    let mut below = zk.watch("/rsw", AddWatchMode::PersistentRecursive).await?;
    other.create("/rsw/k/deep", b"", &PLAIN).await?;
    other.set_data("/rsw", b"2", None).await?;
    assert_eq!(once.changed().await.event_type, EventType::NodeDataChanged);
    let event = below.changed().await;
    assert_eq!((event.event_type, &event.path[..]), (EventType::NodeCreated, "/rsw/k/deep"));
    assert_eq!(below.changed().await.path, "/rsw");
    // Both are taken back from the server behind this.
    drop((once, below));
    zk.sync("/rsw").await?;
    Ok(())
}

async fn multi(hosts: &str) -> Outcome {
    let zk = connect(hosts).await?;
    let mut writer = zk.new_multi_writer();
    writer.add_create("/rsm", b"1", &PLAIN)?;
    writer.add_set_data("/rsm", b"2", Some(0))?;
    writer.add_check_version("/rsm", 1)?;
    assert_eq!(writer.commit().await?.len(), 3);
    let mut writer = zk.new_multi_writer();
    writer.add_create("/rsm/lost", b"", &PLAIN)?;
    writer.add_delete("/rsm", Some(9))?;
    assert!(writer.commit().await.is_err());
    let mut reader = zk.new_multi_reader();
    reader.add_get_data("/rsm")?;
    reader.add_get_children("/rsm")?;
    reader.add_get_data("/rsm/lost")?;
    let results = reader.commit().await?;
    assert_eq!(results.len(), 3);
    println!("{results:?}");
    Ok(())
}

async fn locks(hosts: &str) -> Outcome {
    let (zk, other) = (connect(hosts).await?, connect(hosts).await?);
    let options = || LockOptions::new(Acls::anyone_all()).with_ancestor_options(CONTAINER.clone());
    let prefix = || LockPrefix::new_curator("/rslock", "lock-");
    let mine = zk.lock(prefix()?, b"", options()?).await?;
    let theirs =
        tokio::time::timeout(Duration::from_millis(300), other.lock(prefix()?, b"", options()?));
    assert!(theirs.await.is_err(), "two have the lock");
    mine.create("/rslock-guarded", b"", &PLAIN).await?;
    drop(mine);
    let theirs = other.lock(prefix()?, b"", options()?).await?;
    theirs.delete("/rslock-guarded", None).await?;
    Ok(())
}

async fn write(hosts: &str, folder: &str) -> Outcome {
    let zk = connect(hosts).await?;
    let mine = format!("{folder}-mine");
    zk.create(folder, b"", &PLAIN).await?;
    zk.create(&mine, b"", &EPHEMERAL).await?;
    let ended = tokio::spawn(async { tokio::io::stdin().read_u8().await });
    for number in 0.. {
        if ended.is_finished() {
            break;
        }
        let path = format!("{folder}/{number:06}");
        match zk.create(&path, b"x", &PLAIN).await {
            Ok(_) => println!("created {path}"),
            Err(error) => {
                println!("{path}: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    // Only of the session that asks.
    if zk.list_ephemerals(folder).await? == [mine] {
        println!("session same");
    }
    Ok(())
}
