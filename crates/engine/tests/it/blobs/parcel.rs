//! A person's export that is encrypted: its recipients open it and find what an export in the open has, and nobody else does.

use std::io::{self, Read as _, Write};

use age::{Decryptor, secrecy::ExposeSecret as _, x25519::Identity};
use freehold_engine::{Code, Files, Parceled, Recipients};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Yard, flaky::Trouble, pattern, privacy::yard};
use crate::ground::code;

/// What an identity finds in it, name and bytes of each member in their order; or that it cannot.
fn opened(sealed: &[u8], identity: &Identity) -> Option<Vec<(String, Vec<u8>)>> {
    let decryptor = Decryptor::new(sealed).ok()?;
    let mut plain = Vec::new();
    let keys = std::iter::once(identity as &dyn age::Identity);
    decryptor.decrypt(keys).ok()?.read_to_end(&mut plain).ok()?;
    let (mut members, mut at) = (Vec::new(), 0);
    while plain[at] != 0 {
        let header = &plain[at..at + 512];
        let text = |range: std::ops::Range<usize>| {
            let text = std::str::from_utf8(&header[range]).unwrap();
            text.trim_end_matches(['\0', ' ']).to_owned()
        };
        assert_eq!(text(257..262), "ustar");
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        members.push((text(0..100), plain[at + 512..at + 512 + size].to_vec()));
        at += 512 + size.div_ceil(512) * 512;
    }
    assert_eq!(plain[at..], [0; 1024]);
    Some(members)
}

fn recipients(identities: &[&Identity]) -> Recipients {
    let keys: Vec<String> = identities.iter().map(|it| it.to_public().to_string()).collect();
    Recipients::read(keys.iter().map(String::as_str)).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    sum.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn lines(text: &[u8]) -> Vec<Value> {
    text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The members are what an export in the open has.
async fn is_as_in_the_open(yard: &Yard, person: Uuid, members: &[(String, Vec<u8>)]) {
    let a = &yard.ground.a;
    let home = tempfile::tempdir().unwrap();
    let (mut open, mut folder) = (Vec::new(), Files::in_folder(home.path().join("files")));
    yard.engine.export_person(a, "person", person, &mut open, Some(&mut folder)).await.unwrap();
    let rows: Vec<Value> = members
        .iter()
        .filter(|(name, _)| name.starts_with("rows/"))
        .flat_map(|(_, text)| lines(text))
        .collect();
    let text = serde_json::to_string(&rows).unwrap().replace("\"files/", "\"");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap(), lines(&open)[1..]);
    for (name, bytes) in members.iter().filter(|(name, _)| name.starts_with("files/")) {
        assert_eq!(*bytes, pattern(1000));
        assert!(text.contains(&name["files/".len()..]));
    }
}

#[tokio::test]
async fn recipients_find_what_an_export_in_the_open_has_and_nobody_else_does() {
    let yard = yard().await;
    let (a, b) = (&yard.ground.a, &yard.ground.b);
    let [ada, bob] = yard.people(a).await;
    yard.people(b).await;
    let [one, other, stranger] = [(); 3].map(|()| Identity::generate());
    let mut sealed = Vec::new();
    let keys = recipients(&[&one, &other]);
    let done = yard.engine.export_person_for((a, "person", ada), &keys, &mut sealed, true).await;
    let Parceled { rows, files, lost, manifest_sha256 } = done.unwrap();
    assert_eq!((rows, files, lost), (3, 4, 0));

    assert!(opened(&sealed, &stranger).is_none());
    let members = opened(&sealed, &one).unwrap();
    assert_eq!(members, opened(&sealed, &other).unwrap());
    let (last, text) = members.last().unwrap();
    assert_eq!((&**last, sha256(text)), ("manifest.json", manifest_sha256));
    let manifest: Value = serde_json::from_slice(text).unwrap();
    assert_eq!(manifest["person"], json!({ "entity": "person", "id": ada.to_string() }));
    assert_eq!(manifest["tenant"], "a");
    assert_eq!(manifest["recipients"], json!(keys.texts()));
    assert!(manifest["made"].as_str().unwrap().ends_with('Z'));
    let face = manifest["fields"].as_array().unwrap().iter().find(|it| it["field"] == "face");
    let face = face.unwrap();
    assert_eq!(
        [&face["class"], &face["purpose"], &face["basis"], &face["retention"], &face["source"]],
        ["contact", "account", "contract", "3 years", "the person"]
    );
    let parts: Value = members[..members.len() - 1]
        .iter()
        .map(|(name, bytes)| json!({ "name": name, "bytes": bytes.len(), "sha256": sha256(bytes) }))
        .collect();
    assert_eq!(
        (&manifest["parts"], &manifest["rows"], &manifest["files"]),
        (&parts, &json!(3), &json!(4))
    );

    is_as_in_the_open(&yard, ada, &members).await;

    // No byte of it is in the open, and what was cut off does not open.
    let has = |mark: &[u8]| sealed.windows(mark.len()).any(|some| some == mark);
    let id = ada.to_string();
    assert!(has(b"age-encryption.org/v1"));
    for mark in [id.as_bytes(), ada.as_bytes(), b"person", b"ustar", &pattern(1000)[..32]] {
        assert!(!has(mark), "{mark:?}");
    }
    for cut in [0, 100, 300, sealed.len() / 2, sealed.len() - 1] {
        assert!(opened(&sealed[..cut], &one).is_none(), "{cut}");
    }
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(opened(&changed, &one).is_none());

    // Who got it is registered, without whose it is.
    let register = yard.engine.register().await.unwrap();
    let copies = register["copies"].as_array().unwrap();
    assert_eq!(copies.len(), 2);
    assert_eq!(copies[1]["for"], json!(keys.texts()));
    assert_eq!(
        (&copies[1]["whole"], &copies[1]["rows"], &copies[1]["files"]),
        (&json!(true), &json!(3), &json!(4))
    );
    assert!(copies[0]["for"].as_str().unwrap().contains("in the open"));
    let person = yard.engine.store().person_ref(a.id(), ada);
    assert!(copies.iter().all(|copy| copy["person"] == person && copy["tenant"] == "a"));
    assert!(
        !register.to_string().contains(&id) && !register.to_string().contains(&bob.to_string())
    );
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_was_interrupted_is_registered_as_a_part() {
    let yard = yard().await;
    let a = &yard.ground.a;
    let [ada, _] = yard.people(a).await;
    yard.people(&yard.ground.b).await;
    let identity = Identity::generate();
    let keys = recipients(&[&identity]);
    let whose = (a, "person", ada);
    let full = yard.engine.export_person_for(whose, &keys, &mut Full(500), true).await;
    assert_eq!(code(full), Code::Import);
    // The storage is away after the first file.
    yard.flaky.fail_after(1, Trouble::Fails);
    let mut sealed = Vec::new();
    let away = yard.engine.export_person_for(whose, &keys, &mut sealed, true).await;
    assert_eq!(code(away), Code::Storage);
    assert!(opened(&sealed, &identity).is_none());
    let register = yard.engine.register().await.unwrap();
    let copies = register["copies"].as_array().unwrap();
    assert_eq!(copies.iter().map(|copy| &copy["whole"]).collect::<Vec<_>>(), [false, false]);
    // Nobody's that there is not; but it is said that somebody asked.
    let nobody = Uuid::new_v4();
    let mut out = Vec::new();
    let none = yard.engine.export_person_for((a, "person", nobody), &keys, &mut out, false).await;
    assert_eq!(none.unwrap().rows, 0);
    assert_eq!(opened(&out, &identity).unwrap().len(), 1);
    let letters = yard.engine.export_person_for((a, "letter", ada), &keys, &mut out, false).await;
    assert_eq!(code(letters), Code::Usage);
}

#[test]
fn who_is_no_recipient_is_refused_and_a_secret_is_not_said_again() {
    let secret = Identity::generate().to_string();
    for text in ["age1nothing", secret.expose_secret(), "ssh-ed25519 AAAA", ""] {
        let refusal = Recipients::read([text]).err().unwrap();
        assert_eq!(refusal.code, Code::Usage);
        assert!(!format!("{refusal:?}").contains(&secret.expose_secret()[16..]), "{refusal:?}");
    }
    assert!(Recipients::read([]).is_err());
}
