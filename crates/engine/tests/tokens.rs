//! Tokens of others: what is taken, and everything that is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use freehold_engine::{
    Code, Error, Role,
    auth::{Rules, Verifier},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SECRET: &str = "a secret of at least thirty-two bytes";

struct Signer {
    algorithm: Algorithm,
    id: &'static str,
    key: EncodingKey,
}

impl Signer {
    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(&jwk).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }
}

fn signers() -> Vec<Signer> {
    let random = SystemRandom::new();
    let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let ed = Ed25519KeyPair::generate_pkcs8v1(&random).unwrap();
    let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    // PKCS #8 holds PKCS #1, which is wanted, behind 26 bytes.
    let rsa: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
    vec![
        Signer {
            algorithm: Algorithm::HS256,
            id: "hs",
            key: EncodingKey::from_secret(SECRET.as_bytes()),
        },
        Signer {
            algorithm: Algorithm::RS256,
            id: "rs",
            key: EncodingKey::from_rsa_der(&rsa.as_ref()[26..]),
        },
        Signer {
            algorithm: Algorithm::ES256,
            id: "es",
            key: EncodingKey::from_ec_der(ec.as_ref()),
        },
        Signer {
            algorithm: Algorithm::EdDSA,
            id: "ed",
            key: EncodingKey::from_ed_der(ed.as_ref()),
        },
    ]
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn claims() -> Value {
    json!({"exp": now() + 60, "iss": "https://id.example", "aud": "api",
           "app": {"tenant": "acme", "role": "editor"}})
}

fn rules() -> Rules {
    Rules {
        secret_file: None,
        jwks_file: None,
        jwks_url: None,
        audience: vec!["api".into()],
        issuer: Some("https://id.example".into()),
        skew: Duration::from_secs(5),
        refresh: Duration::from_secs(600),
        tenant_claim: "app.tenant".into(),
        role_claim: Some("/app/role".into()),
        roles: BTreeMap::from([("editor".to_owned(), Role::Writer)]),
        default_role: Role::Reader,
    }
}

fn verifier(folder: &Path, signers: &[Signer]) -> Verifier {
    let keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    std::fs::write(folder.join("jwks.json"), json!({"keys": keys}).to_string()).unwrap();
    Verifier::new(Rules { jwks_file: Some("jwks.json".into()), ..rules() }, folder).unwrap()
}

async fn refused(verifier: &Verifier, token: &str) -> String {
    match verifier.verify(token).await {
        Err(Error::Refused(refusal)) if refusal.code == Code::Unauthenticated => refusal.message,
        other => panic!("{token}: {other:?}"),
    }
}

#[tokio::test]
async fn each_algorithm_is_taken_with_its_own_key_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let signers = signers();
    let all = verifier(folder.path(), &signers);
    for signer in &signers {
        let claims = all.verify(&signer.sign(&claims())).await.unwrap();
        assert_eq!((claims.tenant.as_str(), claims.role), ("acme", Role::Writer));
    }
    // Keys of the same kinds under the same ids, that are others.
    for stranger in self::signers().iter().skip(1) {
        assert_eq!(refused(&all, &stranger.sign(&claims())).await, "the token is not genuine");
    }
    // A public key used as a secret, in each form in which somebody could know it.
    let without_secret = verifier(folder.path(), &signers[1..]);
    for signer in &signers[1..] {
        let jwk = signer.jwk();
        for secret in [jwk.to_string(), jwk["n"].to_string(), jwk["x"].to_string()] {
            for id in [Some(signer.id.to_owned()), None] {
                let header = Header { kid: id, ..Header::new(Algorithm::HS256) };
                let key = EncodingKey::from_secret(secret.as_bytes());
                let token = encode(&header, &claims(), &key).unwrap();
                refused(&without_secret, &token).await;
            }
        }
    }
}

#[tokio::test]
async fn what_a_token_lacks_or_says_wrongly_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let signers = signers();
    let verifier = verifier(folder.path(), &signers);
    let sign = |change: &dyn Fn(&mut Value)| {
        let mut claims = claims();
        change(&mut claims);
        signers[3].sign(&claims)
    };
    type Spoil<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Spoil<'_>); 12] = [
        ("the token lacks a claim", &|c| {
            c.as_object_mut().unwrap().remove("exp");
        }),
        ("the token has expired", &|c| c["exp"] = json!(now() - 6)),
        ("the token does not count yet", &|c| c["nbf"] = json!(now() + 60)),
        ("the token's issuer is another", &|c| c["iss"] = json!("https://id.example.evil")),
        ("the token lacks a claim", &|c| {
            c.as_object_mut().unwrap().remove("iss");
        }),
        ("the token is for another audience", &|c| c["aud"] = json!("other")),
        ("the token lacks a claim", &|c| {
            c.as_object_mut().unwrap().remove("aud");
        }),
        ("the token names no tenant", &|c| c["app"] = json!({})),
        ("the token names no tenant", &|c| c["app"]["tenant"] = json!(7)),
        ("the token's role is none that is known here", &|c| c["app"]["role"] = json!("root")),
        ("the token's role is not a text", &|c| c["app"]["role"] = json!(["admin"])),
        ("the token lacks a claim", &|c| {
            c.as_object_mut().unwrap().remove("exp");
            c["nbf"] = json!(0);
        }),
    ];
    for (message, change) in cases {
        assert_eq!(refused(&verifier, &sign(change)).await, message);
    }
    // Within the skew of clocks; and no role is the default one.
    let fine = sign(&|c| {
        c["exp"] = json!(now() - 2);
        c["app"] = json!({"tenant": "acme"});
    });
    assert_eq!(verifier.verify(&fine).await.unwrap().role, Role::Reader);

    let good = signers[3].sign(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    // {"alg":"none"}, {"alg":"None","kid":"ed"}
    for none in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIiwia2lkIjoiZWQifQ"] {
        for signature in ["", parts[2]] {
            refused(&verifier, &format!("{none}.{}.{signature}", parts[1])).await;
        }
    }
    for broken in [
        format!("{}.{}.", parts[0], parts[1]),
        format!(
            "{}.{}.{}",
            parts[0],
            signers[3].sign(&json!({})).split('.').nth(1).unwrap(),
            parts[2]
        ),
        format!("{good}x"),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(9_000),
    ] {
        refused(&verifier, &broken).await;
    }
}

#[tokio::test]
async fn keys_of_a_url_are_fetched_once_and_for_made_up_ids_rarely() {
    let folder = tempfile::tempdir().unwrap();
    let signers = signers();
    let set = json!({"keys": signers.iter().map(Signer::jwk).collect::<Vec<_>>()}).to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let counted = asked.clone();
    let provider = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 2_000];
            let _ = stream.read(&mut request).await.unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{set}",
                set.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let verifier = Verifier::new(Rules { jwks_url: Some(url), ..rules() }, folder.path()).unwrap();
    for signer in &signers[1..] {
        assert_eq!(verifier.verify(&signer.sign(&claims())).await.unwrap().tenant, "acme");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // A secret that stands in a public set is none; and ids that nobody has do not make us ask each time.
    refused(&verifier, &signers[0].sign(&claims())).await;
    for _ in 0..20 {
        let header = Header { kid: Some("made up".into()), ..Header::new(Algorithm::ES256) };
        refused(&verifier, &encode(&header, &claims(), &signers[2].key).unwrap()).await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    provider.abort();

    for url in ["http://id.example/jwks.json", "ftp://127.0.0.1/x", "no url"] {
        let rules = Rules { jwks_url: Some(url.into()), ..rules() };
        assert_eq!(Verifier::new(rules, folder.path()).err().unwrap().code, Code::Usage, "{url}");
    }
    std::fs::write(folder.path().join("short"), "too short").unwrap();
    let short = Rules { secret_file: Some("short".into()), ..rules() };
    assert!(Verifier::new(short, folder.path()).err().unwrap().message.contains("too short"));
    assert!(Verifier::new(rules(), folder.path()).err().unwrap().message.contains("no key"));
}
