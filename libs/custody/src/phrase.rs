//! Phrases (BIP39, 24 English words) and the fixed derivation paths under them. Roles are not in the path: hot, cool
//! and cold are different phrases.
