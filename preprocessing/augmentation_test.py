import numpy as np
import pytest
import tensorflow.compat.v2 as tf

from preprocessing import augmentation

IMAGES = np.random.default_rng(0).uniform(1, 2, [64, 16, 24, 3]).astype(np.float32)
TARGETS = np.eye(64, dtype=np.float32)


def partner_shares(mixed):
    """How much of each target is left, and that the rest is its partner's."""
    own = np.diag(mixed)
    np.testing.assert_allclose(np.diag(mixed[:, ::-1]), 1 - own, atol=1e-6)
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-5)
    return own


def test_mixup_blends_pictures_as_their_targets():
    images, targets = augmentation.mixup(IMAGES, TARGETS, 0.4, [1, 2])
    own = partner_shares(targets.numpy())
    share = own[:, None, None, None]
    expected = share * IMAGES + (1 - share) * IMAGES[::-1]
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert 0.1 < own.var() / 0.25 < 0.9  # Beta(0.4, 0.4) has 0.56 of the most.


def test_cutmix_targets_are_the_areas():
    images, targets = augmentation.cutmix(IMAGES, TARGETS, 1.0, [1, 2])
    images = np.asarray(images)
    from_self = (images == IMAGES).all(axis=-1)
    from_other = (images == IMAGES[::-1]).all(axis=-1)
    assert (from_self | from_other).all()
    own = partner_shares(targets.numpy())
    np.testing.assert_allclose(from_self.mean(axis=(1, 2)), own, atol=1e-6)
    assert own.min() < 0.3 and own.max() > 0.7
    for mask in from_other:  # A box: an outer product of rows and columns.
        box = mask.any(axis=1)[:, None] & mask.any(axis=0)[None]
        np.testing.assert_array_equal(mask, box)


def test_random_erasing_sets_a_box_to_zero():
    erased = [
        augmentation.random_erasing(image, 0.5, [3, i]).numpy()
        for i, image in enumerate(IMAGES)
    ]
    masks = [np.all(picture == 0, axis=-1) for picture in erased]
    shares = np.array([mask.mean() for mask in masks])
    assert 0.3 < (shares > 0).mean() < 0.7
    assert shares.max() < 0.5
    for picture, mask, image in zip(erased, masks, IMAGES, strict=True):
        np.testing.assert_array_equal(picture[~mask], image[~mask])
        box = mask.any(axis=1)[:, None] & mask.any(axis=0)[None]
        np.testing.assert_array_equal(mask, box)


@pytest.mark.parametrize(
    ("mixup_alpha", "cutmix_alpha"), [(0.2, 0.0), (0.0, 1.0), (0.2, 1.0)]
)
def test_mixing_is_repeatable_and_differs_by_seed(mixup_alpha, cutmix_alpha):
    def mixed(seed):
        return augmentation.mix(IMAGES, TARGETS, mixup_alpha, cutmix_alpha, seed)

    for one, again in zip(mixed([1, 1]), mixed([1, 1]), strict=True):
        np.testing.assert_array_equal(one, again)
    assert np.any(mixed([1, 1])[0] != mixed([1, 2])[0])


def test_both_kinds_of_mixing_take_turns():
    kinds = set()
    for seed in range(12):
        images, _ = augmentation.mix(IMAGES, TARGETS, 1.0, 1.0, [5, seed])
        pasted = (images.numpy() == IMAGES) | (images.numpy() == IMAGES[::-1])
        kinds.add(bool(pasted.all()))
    assert kinds == {True, False}


def test_no_erasing_without_a_share():
    for seed in range(20):
        same = augmentation.random_erasing(IMAGES[0], 0.0, [seed, 1])
        np.testing.assert_array_equal(same, IMAGES[0])
    assert tf.executing_eagerly()
