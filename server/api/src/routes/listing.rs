//! The list of channels in an order, with what a first screen shows.

use protocol::ChannelId;
use protocol::body::list::{ChannelDetail, ChannelsV2, GetChannelsV2, ORDER_CHANGED, ORDER_ID, ORDER_RECENT};
use serde_json::{Value, json};

use super::channels::{set_next, shown};
use crate::error::ApiError;
use crate::json::{parse_channel, parse_number};

/// What is asked of the core.
pub(super) fn request(
    order: &str,
    after: Option<String>,
    at: Option<&str>,
    limit: u32,
) -> Result<GetChannelsV2, ApiError> {
    let order = match order {
        "id" => ORDER_ID,
        "recent" => ORDER_RECENT,
        "changed" => ORDER_CHANGED,
        _ => return Err(ApiError::field("order", "must be id, recent or changed")),
    };
    if order == ORDER_CHANGED && at.is_none() {
        return Err(ApiError::field("at", "missing: the cursor of an earlier list"));
    }
    // By id pages go on with `after`, in the other orders with `at`; the other of the two does not count.
    let after = after.map_or(Ok(0), |after| parse_channel("after", &after).map(|channel| channel.0))?;
    let (generation, at) = at.map_or(Ok((0, 0)), position)?;
    Ok(match order {
        ORDER_ID => GetChannelsV2 { generation: 0, at: 0, order, after, limit },
        _ => GetChannelsV2 { generation, at, order, after: 0, limit },
    })
}

/// A position in an inbox: its life and the number there.
fn position(text: &str) -> Result<(u64, u64), ApiError> {
    let (generation, at) = text
        .split_once('.')
        .ok_or_else(|| ApiError::field("at", "must be two numbers with a point between"))?;
    Ok((parse_number("at", generation)?, parse_number("at", at)?))
}

/// What the core answers, in JSON.
pub(super) fn page(page: &ChannelsV2, me: u64, order: u8) -> Value {
    let channels = page.items.iter().zip(&page.details).map(|(item, detail)| {
        let mut value = shown(item, me);
        describe(&mut value, detail);
        value
    });
    let position = |at: u64| format!("{}.{at}", page.generation);
    let mut answer = json!({
        "channels": channels.collect::<Vec<_>>(), "cursor": position(page.through),
        "needs_snapshot": page.needs_snapshot,
    });
    let next = match order {
        ORDER_RECENT => Some(position(page.next)),
        _ => page.items.last().map(|item| ChannelId(item.channel).to_string()),
    };
    set_next(&mut answer, next.filter(|_| page.more));
    answer
}

fn describe(value: &mut Value, detail: &ChannelDetail) {
    let Some(fields) = value.as_object_mut() else { return };
    let mut set = |field: &str, value: Value| drop(fields.insert(field.into(), value));
    set("mentions", detail.mentions.into());
    set("muted_until_ms", detail.muted_until_ms.into());
    set("pinned", detail.pinned.into());
    set(
        "notify",
        ["all", "mentions", "nothing"].get(usize::from(detail.notify)).copied().unwrap_or("all").into(),
    );
    set("marked_unread", detail.marked_unread.into());
    set("archived", detail.archived.into());
    set("draft", detail.has_draft.into());
    if detail.last_seq > 0 {
        set(
            "last",
            json!({
                "seq": detail.last_seq, "time_ms": detail.last_ms, "sender": detail.last_sender.to_string(),
                "text": detail.text,
            }),
        );
    }
}
