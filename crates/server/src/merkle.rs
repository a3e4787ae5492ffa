//! The hash tree under the audit log (RFC 6962 and RFC 9162, SHA-256): one leaf an entry, and a
//! root that changes when any entry is altered, removed or put in another order.
//!
//! Invariant: a [`Tree`] of `n` leaves holds one peak per set bit of `n`, largest subtree first;
//! its root equals [`root_of`] the same leaves. Appending costs a constant number of hashes on
//! average, and a tree of any size is saved in at most 2 KiB.
//! Not here: what a leaf says, signed checkpoints, and where leaves are kept.

use sha2::{Digest, Sha256};

/// A SHA-256 value: of a leaf, an inner node or a whole tree.
pub type Hash = [u8; 32];

/// Sizes above this are refused when read, so that counting can never overflow.
const MOST_LEAVES: u64 = 1 << 62;

/// The hash of one entry: SHA-256 over a zero byte and the entry's bytes.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of an inner node: SHA-256 over a one byte and the two hashes below it.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// A growing tree of which only the roots of its perfect subtrees are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

/// Why bytes are not a saved [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTree {
    /// The bytes do not hold the number of peaks that the leaf count asks for.
    #[error("saved hash tree is {length} bytes long, which its leaf count does not ask for")]
    Length {
        /// How many bytes were given.
        length: usize,
    },
    /// The leaf count is beyond anything a log can hold.
    #[error("saved hash tree claims {size} leaves")]
    Size {
        /// The claimed count.
        size: u64,
    },
}

impl Tree {
    /// A tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves have been appended.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one leaf, given by its hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        // Each trailing one bit is a perfect subtree as large as the one just completed.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root over everything appended so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return empty_root() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The tree as bytes: the leaf count, eight bytes with the highest first, then the peaks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        for peak in &self.peaks {
            bytes.extend_from_slice(peak);
        }
        bytes
    }

    /// Reads what [`Tree::to_bytes`] wrote; fails when the length and the leaf count disagree.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadTree> {
        let bad_length = BadTree::Length { length: bytes.len() };
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(bad_length)?;
        let size = u64::from_be_bytes(*size);
        if size > MOST_LEAVES {
            return Err(BadTree::Size { size });
        }
        let (peaks, odd) = rest.as_chunks::<32>();
        if !odd.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(bad_length);
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }
}

/// The root over a list of leaf hashes.
#[must_use]
pub fn root_of(leaves: &[Hash]) -> Hash {
    let mut tree = Tree::new();
    for leaf in leaves {
        tree.append(*leaf);
    }
    tree.root()
}

/// Where a tree of `size` leaves divides: the largest power of two below `size`.
fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

/// The hashes that prove leaf `index` is in the tree over `leaves`, nearest first; `None` when
/// there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    let (mut leaves, mut index) = (leaves, index);
    if index >= leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if index < left.len() {
            path.push(root_of(right));
            leaves = left;
        } else {
            path.push(root_of(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(path)
}

/// Whether `proof` shows that `leaf` is entry `index` of the tree of `size` leaves under `root`.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A right border node has no sibling on the levels where its bits are zero.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The hashes that prove the first `earlier` of `leaves` are unchanged at the front of the whole
/// list; empty when nothing needs proof, `None` when `earlier` is beyond the list.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], earlier: usize) -> Option<Vec<Hash>> {
    if earlier > leaves.len() {
        return None;
    }
    let mut path = Vec::new();
    if earlier == 0 {
        return Some(path);
    }
    let (mut leaves, mut earlier) = (leaves, earlier);
    // While the earlier tree is the leftmost part, its own root needs no mention.
    let mut leftmost = true;
    while earlier < leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len()));
        if earlier <= left.len() {
            path.push(root_of(right));
            leaves = left;
        } else {
            path.push(root_of(left));
            earlier -= left.len();
            leaves = right;
            leftmost = false;
        }
    }
    if !leftmost {
        path.push(root_of(leaves));
    }
    path.reverse();
    Some(path)
}

/// Whether `proof` shows that the tree of `earlier` leaves grew into the tree of `later` leaves
/// without a change to what was there; each tree is a leaf count and a root.
#[must_use]
pub fn verify_consistency(earlier: (u64, &Hash), later: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((first, first_root), (second, second_root)) = (earlier, later);
    if first > second {
        return false;
    }
    if first == second {
        return proof.is_empty() && first_root == second_root;
    }
    if first == 0 {
        return proof.is_empty() && *first_root == empty_root();
    }
    let (mut node, mut last) = (first - 1, second - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    // A perfect earlier tree is itself the first hash, which the proof leaves out.
    let (start, rest) = if first.is_power_of_two() {
        (*first_root, proof)
    } else if let Some((start, rest)) = proof.split_first() {
        (*start, rest)
    } else {
        return false;
    };
    let (mut old, mut new) = (start, start);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *first_root && new == *second_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The inputs that implementations of RFC 6962 share as test vectors.
    fn known_leaves() -> Vec<Hash> {
        let inputs: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[
                0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
                0x6e, 0x6f,
            ],
        ];
        inputs.iter().map(|input| leaf_hash(input)).collect()
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|index| leaf_hash(&index.to_be_bytes())).collect()
    }

    /// The definition of RFC 6962 §2.1 word for word, as a second opinion.
    fn defined_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let mut middle = 1;
                while middle * 2 < leaves.len() {
                    middle *= 2;
                }
                let (left, right) = leaves.split_at(middle);
                node_hash(&defined_root(left), &defined_root(right))
            }
        }
    }

    #[test]
    fn known_roots_are_reproduced() {
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves = known_leaves();
        let mut tree = Tree::new();
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(hex(&root_of(&leaves[..size])), *root, "size {size}");
            assert_eq!(hex(&tree.root()), *root, "size {size}");
            if let Some(leaf) = leaves.get(size) {
                tree.append(*leaf);
            }
        }
    }

    #[test]
    fn known_inclusion_and_consistency_proofs_are_reproduced() {
        let leaves = known_leaves();
        let texts = |proof: Option<Vec<Hash>>| -> Vec<String> {
            proof.unwrap().iter().map(|hash| hex(hash)).collect()
        };
        assert_eq!(
            texts(inclusion_proof(&leaves, 0)),
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ]
        );
        assert_eq!(
            texts(inclusion_proof(&leaves, 5)),
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            texts(consistency_proof(&leaves, 6)),
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ]
        );
        assert_eq!(
            texts(consistency_proof(&leaves[..5], 2)),
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ]
        );
    }

    #[test]
    fn appending_gives_the_defined_root_and_survives_saving_at_every_size_to_300() {
        let leaves = leaves(300);
        let mut tree = Tree::new();
        for size in 0..=leaves.len() {
            assert_eq!(tree.root(), defined_root(&leaves[..size]), "size {size}");
            assert_eq!(Tree::from_bytes(&tree.to_bytes()), Ok(tree.clone()), "size {size}");
            if let Some(leaf) = leaves.get(size) {
                tree.append(*leaf);
            }
        }
        assert_eq!(tree.size(), 300);
    }

    #[test]
    fn bytes_that_are_no_tree_are_refused() {
        let tree = |size: u64, peaks: usize| {
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.resize(8 + 32 * peaks, 7);
            Tree::from_bytes(&bytes)
        };
        assert_eq!(Tree::from_bytes(&[]), Err(BadTree::Length { length: 0 }));
        assert_eq!(tree(3, 1), Err(BadTree::Length { length: 40 }));
        assert_eq!(tree(u64::MAX, 64), Err(BadTree::Size { size: u64::MAX }));
        assert!(tree(3, 2).is_ok());
        assert_eq!(Tree::from_bytes(&[0; 9]), Err(BadTree::Length { length: 9 }));
    }

    #[test]
    fn every_proof_up_to_40_leaves_verifies_and_none_serves_another_place() {
        let all = leaves(40);
        for size in 1..=all.len() {
            let leaves = &all[..size];
            let root = root_of(leaves);
            for index in 0..size {
                let proof = inclusion_proof(leaves, index).unwrap();
                for claimed in 0..size {
                    let holds = verify_inclusion(
                        &leaves[index],
                        claimed as u64,
                        size as u64,
                        &root,
                        &proof,
                    );
                    assert_eq!(holds, claimed == index, "leaf {index} as {claimed} of {size}");
                }
            }
            assert_eq!(inclusion_proof(leaves, size), None);
            for earlier in 0..=size {
                let proof = consistency_proof(leaves, earlier).unwrap();
                let old = root_of(&leaves[..earlier]);
                let old = (earlier as u64, &old);
                assert!(verify_consistency(old, (size as u64, &root), &proof), "{earlier} {size}");
            }
            assert_eq!(consistency_proof(leaves, size + 1), None);
        }
    }

    proptest! {
        #[test]
        fn a_changed_inclusion_proof_fails(
            size in 1usize..200, pick in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(), bit in 0u32..256,
        ) {
            let leaves = leaves(size);
            let index = pick.index(size);
            let root = root_of(&leaves);
            let (at, of) = (index as u64, size as u64);
            let proof = inclusion_proof(&leaves, index).unwrap();
            prop_assert!(verify_inclusion(&leaves[index], at, of, &root, &proof));

            let (byte, mask) = ((bit / 8) as usize, 1u8 << (bit % 8));
            let mut other = leaves[index];
            other[byte] ^= mask;
            prop_assert!(!verify_inclusion(&other, at, of, &root, &proof));
            let mut longer = proof.clone();
            longer.push(root);
            prop_assert!(!verify_inclusion(&leaves[index], at, of, &root, &longer));
            if !proof.is_empty() {
                let mut changed = proof.clone();
                changed[place.index(proof.len())][byte] ^= mask;
                prop_assert!(!verify_inclusion(&leaves[index], at, of, &root, &changed));
                let shorter = &proof[..proof.len() - 1];
                prop_assert!(!verify_inclusion(&leaves[index], at, of, &root, shorter));
            }
        }

        #[test]
        fn a_changed_consistency_proof_or_history_fails(
            earlier in 1usize..150, more in 1usize..100,
            place in any::<prop::sample::Index>(), bit in 0u32..256,
        ) {
            let leaves = leaves(earlier + more);
            let (old, new) = (root_of(&leaves[..earlier]), root_of(&leaves));
            let (first, second) = (earlier as u64, leaves.len() as u64);
            let proof = consistency_proof(&leaves, earlier).unwrap();
            prop_assert!(verify_consistency((first, &old), (second, &new), &proof));

            let (byte, mask) = ((bit / 8) as usize, 1u8 << (bit % 8));
            let mut changed = proof.clone();
            changed[place.index(proof.len())][byte] ^= mask;
            prop_assert!(!verify_consistency((first, &old), (second, &new), &changed));
            let mut rewritten = leaves.clone();
            rewritten[place.index(earlier)][byte] ^= mask;
            let other = root_of(&rewritten);
            let honest = consistency_proof(&rewritten, earlier).unwrap();
            prop_assert!(!verify_consistency((first, &old), (second, &other), &honest));
        }

        #[test]
        fn hostile_input_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            numbers in any::<[u64; 4]>(),
            proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            if let Ok(mut tree) = Tree::from_bytes(&bytes) {
                tree.append([0; 32]);
            }
            let hash = empty_root();
            let [index, size, first, second] = numbers;
            let _ = verify_inclusion(&hash, index, size, &hash, &proof);
            let _ = verify_consistency((first, &hash), (second, &hash), &proof);
        }
    }
}
