//! Where devices are told of what they miss, as the device side asks.

use protocol::body::push::{GetPush, Push, PushItem, SetPush, SubscribePush, UnsubscribePush};
use protocol::body::session::Done;
use protocol::commit::Provider;

use super::*;

#[test]
fn what_is_asked_of_push_is_asked_again_until_it_is_answered() {
    let mut session = live();
    let wish = SubscribePush { provider: 3, address: "token".into(), ..SubscribePush::default() };
    let subscribes = session.subscribe_push(&wish).unwrap();
    session.unsubscribe_push(None, Provider::WebPush).unwrap();
    session.set_push(true).unwrap();
    let asked = session.push().unwrap();
    let frames = written(&mut session);
    assert_eq!(read::<SubscribePush>(&frames[0]), Some(wish.clone()));
    assert_eq!(read::<UnsubscribePush>(&frames[1]), Some(UnsubscribePush { device: 0, provider: 1 }));
    assert_eq!(read::<SetPush>(&frames[2]), Some(SetPush { is_off: true }));
    assert_eq!(read::<GetPush>(&frames[3]), Some(GetPush { device: 0 }));
    session.receive(0, encode(subscribes.0, &Done { kind: Kind::SUBSCRIBE_PUSH.0 }));
    let item = PushItem { device: 7, provider: 3, created_ms: 5 };
    let told = Push { is_off: true, key: "key".into(), items: vec![item] };
    session.receive(0, encode(asked.0, &told));
    // Nobody asked for a second one.
    session.receive(0, encode(asked.0, &told));
    assert_eq!(events(&mut session), [Event::Done(subscribes), Event::Push { request: asked, push: told }]);
    let wrong = SubscribePush { provider: 5, ..wish };
    assert_eq!(session.subscribe_push(&wrong).unwrap_err().path, "provider");
}
