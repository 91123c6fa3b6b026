//! Bytes of which most are zeros, as those of calls are, in less room: a zero stands before the number of zeros.

/// At most 255 zeros are counted at once.
pub(super) fn counted(bytes: &[u8]) -> Vec<u8> {
    let mut counted: Vec<u8> = Vec::with_capacity(bytes.len() / 2);
    let mut zeros = 0;
    for byte in bytes {
        match (byte, counted.last_mut()) {
            (0, Some(count)) if (1..u8::MAX).contains(&zeros) => {
                zeros += 1;
                *count = zeros;
            }
            (0, _) => {
                zeros = 1;
                counted.extend([0, zeros]);
            }
            (other, _) => {
                zeros = 0;
                counted.push(*other);
            }
        }
    }
    counted
}

/// Back. `None`: a zero without a number.
pub(super) fn written_out(counted: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut counted) = (Vec::new(), counted.iter().copied());
    while let Some(byte) = counted.next() {
        match byte {
            0 => {
                let zeros = counted.next().filter(|zeros| *zeros > 0)?;
                bytes.resize(bytes.len() + usize::from(zeros), 0);
            }
            other => bytes.push(other),
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_counted_comes_back_and_zeros_take_little() {
        for length in [0, 1, 2, 254, 255, 256, 600] {
            for (before, after) in [(&[][..], &[][..]), (&[7, 0, 8], &[9]), (&[0, 1], &[0, 0, 255])] {
                let zeros = vec![0; length];
                let bytes = [before, &zeros[..], after].concat();
                let short = counted(&bytes);
                assert_eq!(written_out(&short), Some(bytes), "{length} {before:?} {after:?}");
                assert!(short.len() <= 2 * (length.div_ceil(255) + before.len() + after.len()));
            }
        }
        assert_eq!((written_out(&[1, 0]), written_out(&[0, 0])), (None, None));
    }
}
