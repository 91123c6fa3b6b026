//! The first step: who may ask, an operation id, an operation.

use custody::Role;
use protocol::ops::{OPERATION_ID_BYTES, Operation, Request};

use super::Stop;
use crate::store::OperationKey;

/// A request that is understood completely.
pub(super) struct Accepted {
    pub(super) key: OperationKey,
    pub(super) operation: Operation,
}

impl Accepted {
    /// Only App asks for operations.
    pub(super) fn new(sender: Role, request: Request, digest: [u8; 32]) -> Result<Self, Stop> {
        if sender != Role::App {
            return Err(Stop::refused("NotApp", format!("{sender} asks for no operations; only app does")));
        }
        let Request { operation_id, operation } = request;
        if operation_id.len() != OPERATION_ID_BYTES {
            let message = format!("the operation id has {} bytes, expected {OPERATION_ID_BYTES}", operation_id.len());
            return Err(Stop::refused("Malformed", message));
        }
        let operation = operation.ok_or_else(|| Stop::refused("Malformed", "the request names no operation"))?;
        Ok(Self { key: OperationKey { sender: sender.as_str(), operation_id, digest }, operation })
    }
}
