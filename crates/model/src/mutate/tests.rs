//! Writes to SQL, and what is refused: recorded in `src/mutate/golden.txt`; `UPDATE_EXPECT=1` records anew.
