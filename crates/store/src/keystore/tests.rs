//! The file of the keystore: epochs come and go, and it opens for its root key and its database alone.

use super::*;

fn keystore(folder: &Path, root: u8) -> Keystore {
    Keystore::new(folder.to_owned(), Uuid::from_u128(1), &RootKey::new([root; 32]))
}

fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("freehold-keystore-{}", Uuid::new_v4()));
    fs::create_dir(&folder).unwrap();
    folder
}

#[test]
fn epochs_come_one_by_one_and_go() {
    let folder = folder();
    let store = keystore(&folder, 1);
    assert!(store.read().unwrap().is_none());
    store.create().unwrap();
    let first = store.read().unwrap().unwrap();
    store.create().unwrap();
    assert_eq!(store.read().unwrap().unwrap().epochs, first.epochs, "made once");
    assert_eq!(*first.receipts, *RootKey::new([1; 32]).report_key());

    // Two that add the same one have the same one; none is left out.
    store.add(2).unwrap();
    let second = store.read().unwrap().unwrap();
    store.add(2).unwrap();
    store.add(4).unwrap();
    assert_eq!(store.read().unwrap().unwrap().epochs, second.epochs);
    assert_eq!(second.newest(), 2);
    // Not without the one that follows.
    store.destroy_before(3).unwrap();
    assert_eq!(store.read().unwrap().unwrap().epochs.len(), 2);

    let mut old = File::open(store.file()).unwrap();
    store.destroy_before(2).unwrap();
    let left = store.read().unwrap().unwrap();
    assert_eq!(left.epochs.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(left.epochs[&2], second.epochs[&2]);
    let mut bytes = Vec::new();
    old.read_to_end(&mut bytes).unwrap();
    assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == 0), "what it was is wiped");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn it_opens_for_its_root_key_and_its_database_alone() {
    let folder = folder();
    let store = keystore(&folder, 1);
    store.create().unwrap();
    let before = store.read().unwrap().unwrap();
    let other = keystore(&folder, 2);
    assert!(other.read().err().unwrap().message.contains("another root key"));
    store.wrap_also(&RootKey::new([2; 32])).unwrap();
    store.wrap_also(&RootKey::new([2; 32])).unwrap();
    for one in [&store, &other] {
        let content = one.read().unwrap().unwrap();
        assert_eq!(
            (content.epochs, content.receipts),
            (before.epochs.clone(), before.receipts.clone())
        );
    }
    other.only_this_root().unwrap();
    assert!(store.read().is_err());
    assert_eq!(other.read().unwrap().unwrap().epochs, before.epochs);

    let text = fs::read_to_string(store.file()).unwrap();
    let foreign = Keystore { id: Uuid::from_u128(2), ..other.clone() };
    replace(&foreign.file(), text.as_bytes()).unwrap();
    assert!(foreign.read().is_err(), "keys of another database");
    for damaged in [text.replace("epoch 1", "epoch 7"), text[..text.len() - 9].into(), "x".into()] {
        replace(&other.file(), damaged.as_bytes()).unwrap();
        assert!(other.read().is_err(), "{damaged}");
    }
    fs::set_permissions(other.file(), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(other.read().err().unwrap().hint.unwrap().contains("chmod 600"));
    fs::remove_dir_all(&folder).unwrap();
}
