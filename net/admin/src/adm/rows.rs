//! Lines on their way to the operator. A few wait; who makes them waits for who reads them.

use super::wire::{Line, Problem};
use serde_json::{Map, Value};
use std::convert::Infallible;

/// Lines that wait. A line may hold a whole message, so few.
const WAITING_MAX: usize = 16;

/// The sending side. Clones send into the same answer, from any thread.
#[derive(Clone)]
pub(crate) struct Rows(flume::Sender<Result<Vec<u8>, Infallible>>);

/// The operator has gone; there is nobody to work for.
#[derive(Debug)]
pub(crate) struct Gone;

/// What an answer's body is made of.
pub(crate) type Lines = flume::Receiver<Result<Vec<u8>, Infallible>>;

impl Rows {
    pub fn new() -> (Rows, Lines) {
        let (sender, receiver) = flume::bounded(WAITING_MAX);
        (Rows(sender), receiver)
    }

    /// One thing found or done.
    pub async fn row(&self, fields: impl IntoIterator<Item = (&str, Value)>) -> Result<(), Gone> {
        self.map(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).await
    }

    pub async fn map(&self, row: Map<String, Value>) -> Result<(), Gone> {
        self.line(&Line::Row(row)).await
    }

    pub async fn problem(&self, problem: Problem) -> Result<(), Gone> {
        self.line(&Line::Problem(problem)).await
    }

    pub async fn line(&self, line: &Line) -> Result<(), Gone> {
        let mut bytes = serde_json::to_vec(line).expect("a line has string keys");
        bytes.push(b'\n');
        self.0.send_async(Ok(bytes)).await.map_err(|_| Gone)
    }
}
