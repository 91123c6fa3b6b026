//! Tokens that do not do what a token should: each says what everybody has, by its storage at the owner's address, and
//! does something of its own when it is asked to transfer.

/// It reverts, as a paused token does.
pub const REVERTS: &str = "60006000fd";
/// It returns false.
pub const RETURNS_FALSE: &str = "600060005260206000f3";
/// It never ends, and eats all gas that it is given.
pub const NEVER_ENDS: &str = "5b600f56";

/// Where a token that is paused may be put.
pub const PAUSED: &str = "0x00000000000000000000000000000000000000a1";
/// Where a token that returns false may be put.
pub const LIAR: &str = "0x00000000000000000000000000000000000000a2";
/// Where a token that eats gas may be put.
pub const EATER: &str = "0x00000000000000000000000000000000000000a3";

/// The code of a token that does this when it is asked to transfer.
pub fn code(transfer: &str) -> String {
    let balance_of = 15 + transfer.len() / 2;
    format!("0x60003560e01c6370a082311460{balance_of:02x}57{transfer}5b6004355460005260206000f3")
}
