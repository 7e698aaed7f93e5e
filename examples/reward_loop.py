"""Reward loop: best of N takes per round by the service, and a policy that learns from them.

The policy chooses the style of generated songs, a stand-in for a generator that is trained. The
service in one terminal, the loop in another:

    hear-aesthetics serve --model mini --no-page
    python examples/reward_loop.py http://127.0.0.1:7860

The scores of `mini` say nothing about music; plain `serve` has the published head.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.synthesis import STYLES, compose, render
from songeval_task import RemoteScorer

RATE, SECONDS = 48_000, 10.0
ROUNDS, TAKES = 4, 6


def main(url: str, out: Path = Path("best"), rounds: int = ROUNDS) -> dict[str, float]:
    """Keep the best take of each round in a folder; return the probability of each style."""
    torch.manual_seed(0)
    logits = torch.zeros(len(STYLES), requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    with RemoteScorer(url) as scorer:
        for number in range(rounds):
            policy = torch.distributions.Categorical(logits=logits)
            styles = policy.sample((TAKES,))
            songs = [
                render(compose(number * TAKES + take, SECONDS, style=list(STYLES)[style]), RATE)
                for take, style in enumerate(styles.tolist())
            ]
            waveforms = torch.from_numpy(np.stack(songs)).float()
            rewards = scorer.score_waveforms(waveforms, RATE).mean(dim=1)  # over the dimensions
            # A policy that learns to clip or to be silent has found a hole in the reward.
            faulty = [bool(warnings) for warnings in scorer.waveform_warnings(waveforms, RATE)]
            rewards[torch.tensor(faulty)] = rewards.min()

            best = int(rewards.argmax())
            write_audio(out / f"round-{number}.wav", songs[best], RATE)
            print(f"round {number}: mean {rewards.mean():.3f}, best {rewards[best]:.3f}")
            advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)
            optimizer.zero_grad()
            (-(advantages * policy.log_prob(styles)).mean()).backward()  # REINFORCE
            optimizer.step()
    return dict(zip(STYLES, logits.softmax(0).tolist(), strict=True))


if __name__ == "__main__":
    for style, probability in main(sys.argv[1]).items():
        print(f"{style}: {probability:.2f}")
