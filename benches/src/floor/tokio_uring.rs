//! The floor over tokio-uring: a task that reads and a task that writes for each connection, on one thread.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio_uring::net::{TcpListener, TcpStream};

use super::{READ_BYTES, announce};
use crate::relay::Relay;

struct Floor {
    relay: RefCell<Relay>,
    writers: RefCell<Vec<Rc<Writer>>>,
}

#[derive(Default)]
struct Writer {
    wake: Notify,
    is_closed: std::cell::Cell<bool>,
}

pub(super) fn serve(listen: SocketAddr) -> io::Result<()> {
    // `tokio_uring::start` would panic where io_uring is not allowed.
    let runtime = tokio_uring::Runtime::new(&tokio_uring::builder())?;
    runtime.block_on(async {
        let listener = TcpListener::bind(listen)?;
        announce("floor", listener.local_addr()?)?;
        let floor = Rc::new(Floor { relay: RefCell::default(), writers: RefCell::default() });
        loop {
            let (stream, _) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            let index = floor.relay.borrow_mut().open();
            let writer = Rc::<Writer>::default();
            {
                let mut writers = floor.writers.borrow_mut();
                if writers.len() <= index {
                    writers.resize_with(index + 1, Rc::default);
                }
                if let Some(slot) = writers.get_mut(index) {
                    *slot = writer.clone();
                }
            }
            let stream = Rc::new(stream);
            tokio_uring::spawn(read(floor.clone(), stream.clone(), index, writer.clone()));
            tokio_uring::spawn(write(floor.clone(), stream, index, writer));
        }
    })
}

async fn read(floor: Rc<Floor>, stream: Rc<TcpStream>, index: usize, writer: Rc<Writer>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let (outcome, back) = stream.read(buffer).await;
        buffer = back;
        let len = outcome.unwrap_or(0);
        let taken = floor.relay.borrow_mut().take(index, buffer.get_mut(..len).unwrap_or_default());
        if len == 0 || taken.is_err() {
            break;
        }
        let mut relay = floor.relay.borrow_mut();
        let writers = floor.writers.borrow();
        while let Some(dirty) = relay.next_dirty() {
            // The writer runs after every reader that is ready now, so it takes all that they made.
            writers.get(dirty).inspect(|writer| writer.wake.notify_one());
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
    writer.is_closed.set(true);
    writer.wake.notify_one();
}

async fn write(floor: Rc<Floor>, stream: Rc<TcpStream>, index: usize, writer: Rc<Writer>) {
    let mut sending = Vec::new();
    while !writer.is_closed.get() {
        writer.wake.notified().await;
        sending.clear();
        if let Some(out) = floor.relay.borrow_mut().output(index) {
            std::mem::swap(&mut sending, out);
        }
        if sending.is_empty() {
            continue;
        }
        let (outcome, back) = stream.write_all(sending).await;
        sending = back;
        if outcome.is_err() {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
    floor.relay.borrow_mut().close(index);
}
