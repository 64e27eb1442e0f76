//! Two ways of finding made one: by words (BM25) and by meaning (the cosine of vectors).
//!
//! A page's score is the weighted sum of both, each as a part of the best one's.
//! Source: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2023,
//! section 4, where this is better than adding ranks. The weight is chosen in the docs, "Decisions",
//! 0007.

use std::collections::HashMap;

use tantivy::{DocAddress, Searcher};

use super::vectors::View;

/// How much meaning counts, of 1.
const MEANING: f32 = 0.6;

/// What has no word in common with the query must at least be so near to it, so that a question
/// of which nothing speaks finds nothing.
const MIN_COSINE: f32 = 0.15;

/// From each way so many pages are looked at, at least.
pub(crate) const CANDIDATES: usize = 100;

/// A page that may be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) page: DocAddress,
    /// Its score by words; 0 where it was found by its meaning alone.
    pub(crate) words: f32,
    /// How near its meaning is; none where that is not known.
    pub(crate) cosine: Option<f32>,
}

/// Adds the pages that are nearest in meaning, and says of the others how near they are.
pub(crate) fn add_near(
    candidates: &mut Vec<Candidate>,
    searcher: &Searcher,
    view: &View,
    query: &[f32],
    at_most: usize,
) {
    let by_page: HashMap<DocAddress, usize> =
        candidates.iter().enumerate().map(|(at, candidate)| (candidate.page, at)).collect();
    for candidate in candidates.iter_mut() {
        candidate.cosine = view.cosine(query, candidate.page);
    }
    for (cosine, page) in view.nearest(searcher, query, at_most) {
        if cosine >= MIN_COSINE && !by_page.contains_key(&page) {
            candidates.push(Candidate { page, words: 0.0, cosine: Some(cosine) });
        }
    }
}

/// The scores of candidates, in their order, on the scale of the scores by words.
pub(crate) fn fused<'a>(candidates: impl Iterator<Item = &'a Candidate> + Clone) -> Vec<f32> {
    let most = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0_f32, f32::max);
    let best = most(&mut candidates.clone().map(|candidate| candidate.words));
    let nearest = most(&mut candidates.clone().filter_map(|candidate| candidate.cosine));
    // Without any word in common, nearness is all there is.
    let scale = if best > 0.0 { best } else { 1.0 };
    let score = |candidate: &Candidate| {
        let words = candidate.words / scale;
        let score = match candidate.cosine {
            Some(cosine) if nearest > 0.0 => (1.0 - MEANING) * words + MEANING * cosine.max(0.0) / nearest,
            _ => words,
        };
        score * scale
    };
    candidates.map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(doc: u32, words: f32, cosine: Option<f32>) -> Candidate {
        Candidate { page: DocAddress::new(0, doc), words, cosine }
    }

    #[test]
    fn what_is_near_in_both_ways_comes_first() {
        let both = candidate(0, 8.0, Some(0.5));
        let words = candidate(1, 10.0, Some(0.1));
        let meaning = candidate(2, 0.0, Some(0.6));
        let scores = fused([both, words, meaning].iter());
        assert!(scores[0] > scores[1] && scores[0] > scores[2], "{scores:?}");
        assert!(scores.iter().all(|score| (0.0..=10.0).contains(score)), "{scores:?}");
    }

    #[test]
    fn what_has_no_vector_keeps_its_score_and_nothing_is_not_a_number() {
        assert_eq!(fused([candidate(0, 4.0, None), candidate(1, 2.0, None)].iter()), [4.0, 2.0]);
        assert_eq!(fused([candidate(0, 4.0, Some(0.3)), candidate(1, 4.0, None)].iter()), [4.0, 4.0]);
        for cosine in [-1.0, 0.0, 1.0] {
            assert!(fused([candidate(0, 0.0, Some(cosine))].iter())[0].is_finite());
        }
        assert!(fused([].iter()).is_empty());
    }
}
