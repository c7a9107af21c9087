"""The recall task: its sequences, and that training is seeded, bounded, cancellable and tells RNN from LSTM."""

import pytest
import torch

from models.recall import RecallConfig, RecallNet, recall_batch, train_live

SMALL = RecallConfig(distances=(1, 3), n_hidden=8, n_update=4, report_every=2, batch=4)


def test_a_sequence_shows_the_symbol_first_and_asks_last():
    config = RecallConfig()
    x, symbol = recall_batch(config, 7, 50, torch.Generator().manual_seed(0))
    ids = x.argmax(-1)
    assert x.shape == (8, 50, config.n_input)
    assert torch.equal(ids[0], symbol)
    assert bool((ids[1:-1] >= config.n_symbol).all())
    assert bool((ids[1:-1] < config.n_input - 1).all())
    assert bool((ids[-1] == config.n_input - 1).all())


def test_reports_come_on_time_and_the_last_says_so():
    steps = list(train_live(SMALL, 0))
    assert [step.step for step in steps] == [0, 2, 4]
    assert [step.done for step in steps] == [False, False, True]
    for step in steps:
        for kind in ("rnn", "lstm"):
            assert len(step.accuracy[kind]) == len(step.loss[kind]) == 2
            assert all(0 <= value <= 1 for value in step.accuracy[kind])


def test_two_runs_side_by_side_are_each_as_if_alone():
    alone = [step.loss for step in train_live(SMALL, 5)]
    woven = [(a.loss, b.loss) for a, b in zip(train_live(SMALL, 5), train_live(SMALL, 6), strict=True)]
    assert [a for a, _ in woven] == alone
    assert [b for _, b in woven] != alone


def test_time_is_bounded_and_a_cancel_is_only_to_stop_reading():
    short = RecallConfig(distances=(1,), n_hidden=4, n_update=10**6, seconds=0.05)
    assert list(train_live(short, 0))[-1].done
    run = train_live(RecallConfig(distances=(1,), n_hidden=4, n_update=10**6), 0)
    assert [next(run).step, next(run).step] == [0, 10]
    run.close()


def test_the_lstm_reaches_where_the_rnn_does_not():
    config = RecallConfig(distances=(3, 30), n_update=250, report_every=250)
    last = list(train_live(config, 0))[-1]
    assert last.reach("rnn") == 3
    assert last.reach("lstm") == 30
    assert last.accuracy["rnn"][1] < 0.5


def test_reach_stops_at_the_first_distance_that_fails():
    step = list(train_live(SMALL, 0))[-1]
    step = type(step)(
        RecallConfig(distances=(2, 5, 9)), 1, 0.0, {}, {"rnn": (1.0, 0.5, 1.0), "lstm": (0.1, 1, 1)}, True
    )
    assert (step.reach("rnn"), step.reach("lstm")) == (2, 0)


def test_the_forget_gate_starts_where_the_config_says():
    net = RecallNet("lstm", RecallConfig(n_hidden=4, forget_bias=2.0), torch.Generator())
    assert (net.layer.bias_ih_l0 + net.layer.bias_hh_l0)[4:8].tolist() == [2.0] * 4


@pytest.mark.parametrize("bad", [{"distances": ()}, {"distances": (0,)}, {"batch": 0}, {"seconds": 0.0}])
def test_bad_configs_are_refused(bad):
    with pytest.raises(ValueError, match="must"):
        RecallConfig(**bad)
