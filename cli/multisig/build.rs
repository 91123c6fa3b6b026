//! The member chart is embedded as a folder; cargo watches files only where it is told to.

fn main() {
    println!("cargo::rerun-if-changed=../../charts/member");
}
