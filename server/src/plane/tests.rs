use super::*;
use crate::families::Families;
use crate::mesh;
use api::Homes;
use protocol::Kind;
use protocol::token::Claims;

fn plane(outlets: &Outlets) -> DataPlane {
    let metrics = Metrics {
        began: std::time::Instant::now(),
        latency: Arc::default(),
        outlets: outlets.clone(),
        store: Arc::new(Store::memory()),
        meters: Vec::new(),
        readers: Arc::default(),
        space: Arc::default(),
        certificates: None,
        stalls: Arc::default(),
        search: None,
    };
    let mover = Families::start(&metrics.store, |_| true).unwrap().mover();
    let events = std::sync::mpsc::channel().0;
    DataPlane::new(Placement::new(2).unwrap(), outlets.clone(), metrics, None, mover, events)
}

/// A user whose home is shard 1 of 2.
fn user() -> UserId {
    let placement = Placement::new(2).unwrap();
    (1..).map(UserId).find(|user| placement.user_home(*user) == ShardId(1)).unwrap()
}

#[tokio::test]
async fn a_command_goes_to_the_home_and_its_answer_comes_back() {
    let (mailboxes, outlets) = mesh::build(2);
    let plane = plane(&outlets);
    let asking = tokio::spawn({
        let plane = plane.clone();
        async move { plane.remove_device(user(), DeviceId(3)).await }
    });
    let reply = loop {
        assert!(mailboxes[0].next_post().is_none());
        if let Some(Post::Control { command, reply }) = mailboxes[1].next_post() {
            assert_eq!(command, Command::RemoveDevice { user: user(), device: DeviceId(3) });
            break reply;
        }
        tokio::task::yield_now().await;
    };
    reply(Err(CommandError::Full));
    assert_eq!(asking.await.unwrap(), Err(HomeError::Full));
    assert!(!plane.is_ready());
    plane.set_ready(true);
    assert!(plane.is_ready());
}

#[tokio::test]
async fn every_shard_takes_the_keys_before_it_is_answered() {
    let (mailboxes, outlets) = mesh::build(2);
    let plane = plane(&outlets);
    let keys: Arc<[Key]> = [Key { id: 7, secret: [1; 32] }].into();
    let giving = tokio::spawn(async move { plane.take_keys(keys).await });
    for mailbox in &mailboxes {
        let taken = loop {
            if let Some(Post::Keys { keys, taken }) = mailbox.next_post() {
                assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [7]);
                break taken;
            }
            tokio::task::yield_now().await;
        };
        assert!(!giving.is_finished());
        taken();
    }
    assert_eq!(giving.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn silence_and_a_shard_that_has_ended_are_errors() {
    let (mailboxes, outlets) = mesh::build(2);
    let plane = plane(&outlets);
    assert!(plane.create_account(user(), 1).await.unwrap_err().to_string().contains("in time"));
    drop(mailboxes);
    assert!(plane.create_account(user(), 1).await.unwrap_err().to_string().contains("ended"));
}

fn guest(frame: Frame) -> Visit {
    let claims = Claims { user: user(), device: DeviceId(3), expires_ms: 9, issued_ms: 5 };
    Visit { claims, frame }
}

#[tokio::test]
async fn a_guest_goes_to_its_home_and_all_of_its_answer_comes_back() {
    let (mailboxes, outlets) = mesh::build(2);
    let plane = plane(&outlets);
    let ask = Frame::build(Kind::GET_CHANNELS, 1, 7, &[]);
    let asking = tokio::spawn({
        let (plane, visit) = (plane.clone(), guest(ask.clone()));
        async move { Homes::visit(&plane, visit).await }
    });
    let reply = loop {
        assert!(mailboxes[0].next_post().is_none());
        if let Some(Post::Guest(visitor)) = mailboxes[1].next_post() {
            let Visitor { hello, frame, reply, .. } = *visitor;
            assert_eq!((hello.user, hello.device, hello.id), (user(), DeviceId(3), 7));
            assert_eq!((hello.expires_ms, hello.issued_ms, &frame), (9, 5, &ask));
            break reply;
        }
        tokio::task::yield_now().await;
    };
    let two = [ask.bytes(), ask.bytes()].concat();
    reply(Ok(two.into()));
    assert_eq!(asking.await.unwrap().unwrap(), [ask.clone(), ask]);
    assert!(mailboxes[1].next_post().is_none(), "it was answered: nobody hangs up");
}

#[tokio::test]
async fn whoever_hangs_up_is_a_guest_no_longer() {
    let (mailboxes, outlets) = mesh::build(2);
    let plane = plane(&outlets);
    let asking = tokio::spawn(async move {
        Homes::visit(&plane, guest(Frame::build(Kind::GET_CHANNELS, 1, 7, &[]))).await
    });
    let came = loop {
        if let Some(Post::Guest(visitor)) = mailboxes[1].next_post() {
            break visitor.guest;
        }
        tokio::task::yield_now().await;
    };
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    let Some(Post::GuestGone(gone)) = mailboxes[1].next_post() else { panic!("nobody hung up") };
    assert_eq!(gone, came);
}
