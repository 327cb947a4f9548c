//! How messages are divided into batches.

use std::ops::Range;

/// Entries of one SendMessageBatch (SQS quota).
const MAX_ENTRIES: usize = 10;
/// Bytes of one SendMessageBatch. SQS takes 1 MiB by now, but emulators and older regions held to 256 KiB, and nothing is
/// gained by more. A larger message travels alone.
const MAX_BYTES: usize = 256 * 1024;

/// Divides messages of these sizes into consecutive batches that respect both limits.
pub(super) fn divide(sizes: &[usize]) -> Vec<Range<usize>> {
    let mut batches: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (index, size) in sizes.iter().enumerate() {
        match batches.last_mut() {
            Some(batch) if batch.len() < MAX_ENTRIES && bytes + size <= MAX_BYTES => {
                batch.end = index + 1;
                bytes += size;
            }
            _ => {
                batches.push(index..index + 1);
                bytes = *size;
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cases() {
        assert!(divide(&[]).is_empty());
        assert_eq!(divide(&[1; 21]), [0..10, 10..20, 20..21]);
        let half = MAX_BYTES / 2;
        assert_eq!(divide(&[half, half, 1, MAX_BYTES, MAX_BYTES * 4, 1]), [0..2, 2..3, 3..4, 4..5, 5..6]);
    }

    proptest! {
        #[test]
        fn covers_everything_once_within_limits(sizes in proptest::collection::vec(1..MAX_BYTES * 2, 0..60)) {
            let batches = divide(&sizes);
            let covered: Vec<usize> = batches.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for batch in batches {
                let bytes: usize = sizes[batch.clone()].iter().sum();
                prop_assert!(batch.len() <= MAX_ENTRIES && (bytes <= MAX_BYTES || batch.len() == 1));
            }
        }
    }
}
