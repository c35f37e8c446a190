//! The API through real HTTP on a loopback port of its own, against a core that remembers what it was asked.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use api::{Accounts, AdminToken, Api, ChatUrl, HomeError, Homes, Keys, Parts, Pending, Settings, now_ms};
use protocol::{DeviceId, UserId};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Default)]
pub struct FakeHomes {
    pub users: Mutex<Vec<UserId>>,
    pub devices: Mutex<BTreeSet<(UserId, DeviceId)>>,
    pub removed: Mutex<Vec<(UserId, DeviceId)>>,
    pub not_before: Mutex<BTreeMap<UserId, u64>>,
    pub broken: AtomicBool,
    pub ready: AtomicBool,
}

impl FakeHomes {
    fn outcome(&self) -> Result<(), HomeError> {
        let is_broken = self.broken.load(Ordering::Acquire);
        if is_broken { Err(HomeError::NotNow("not now".into())) } else { Ok(()) }
    }
}

impl Homes for FakeHomes {
    fn create_account(&self, user: UserId, _created_ms: u64) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            let mut users = self.users.lock().unwrap();
            if !users.contains(&user) {
                users.push(user);
            }
            Ok(())
        })
    }

    fn add_device(
        &self,
        user: UserId,
        device: DeviceId,
        known: Vec<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            assert!(known.contains(&device) && self.users.lock().unwrap().contains(&user));
            self.devices.lock().unwrap().insert((user, device));
            Ok(())
        })
    }

    fn remove_device(&self, user: UserId, device: DeviceId) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            self.devices.lock().unwrap().remove(&(user, device));
            self.removed.lock().unwrap().push((user, device));
            Ok(())
        })
    }

    fn log_out_all(
        &self,
        user: UserId,
        not_before_ms: u64,
        keep: Option<DeviceId>,
    ) -> Pending<'_, Result<(), HomeError>> {
        Box::pin(async move {
            self.outcome()?;
            self.devices.lock().unwrap().retain(|(of, device)| *of != user || Some(*device) == keep);
            self.not_before.lock().unwrap().insert(user, not_before_ms);
            Ok(())
        })
    }

    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn waits_for(&self) -> Pending<'_, String> {
        Box::pin(async { "shard 1 waits for the test".to_owned() })
    }

    fn metrics(&self) -> Pending<'_, String> {
        Box::pin(async { "maru_test 1\n".to_owned() })
    }
}

pub struct World {
    pub data: tempfile::TempDir,
    pub homes: Arc<FakeHomes>,
    pub keys: Keys,
    pub base: String,
    pub http: reqwest::Client,
}

pub const PASSWORD: &str = "correct horse";

impl World {
    pub async fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let homes = Arc::new(FakeHomes::default());
        let keys = Keys::open_or_create(data.path(), now_ms()).unwrap();
        let settings = Settings { chat_url: ChatUrl::Port(7), token_ms: 60_000, devices_max: 3, hashers: 2 };
        let accounts = Accounts::open(data.path()).await.unwrap();
        let admin = AdminToken::open_or_create(data.path()).unwrap();
        let parts = Parts { accounts, keys: keys.clone(), admin, homes: homes.clone(), settings };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(api::serve(listener, Api::new(parts).unwrap(), std::future::pending()));
        Self { data, homes, keys, base, http: reqwest::Client::new() }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    pub async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        self.send(self.http.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    pub async fn signup(&self, name: &str) -> (StatusCode, Value) {
        self.post("/v1/signup", &json!({ "name": name, "password": PASSWORD })).await
    }

    /// A good login.
    pub async fn login(&self, name: &str) -> Value {
        let (status, answer) = self.post("/v1/login", &json!({ "name": name, "password": PASSWORD })).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// A raw request, byte for byte.
    pub async fn raw(&self, request: &str) -> String {
        let address = self.base.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[track_caller]
pub fn refused(answer: &(StatusCode, Value), status: u16, code: &str) -> String {
    let error = &answer.1["error"];
    assert_eq!((answer.0.as_u16(), error["code"].as_str()), (status, Some(code)), "{answer:?}");
    assert!(error["retry_after_ms"].is_u64(), "{error}");
    error["message"].as_str().unwrap().to_owned()
}
