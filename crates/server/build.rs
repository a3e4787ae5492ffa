//! Tells cargo that the built portal is part of the program.

fn main() {
    // The folder itself is kept in the repository, empty: cargo can look at it before it is filled.
    println!("cargo:rerun-if-changed=../../portal/dist");
}
