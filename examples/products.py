# %% [markdown]
"""
# How many will we sell in the next four weeks?

A shop wants to know what it will sell of 60 products on each of the next 28 days, to order in
time. It knows what it sold for eleven months, and when there were and will be promotions. The
sales are made here, so that the truth is known: a weekly course, a level that drifts, and weeks
of promotion that sell 1.7 times as much.

The way: look at the data, measure last week repeated, forecast without any training, then train
with the promotions, and see what they do.
"""

# %%
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from tsformer import TransformerForecaster
from tsformer.metrics import interval_coverage
from tsformer.plotting import ForecastDisplay

plt.rcParams["date.converter"] = "concise"  # dates that do not overlap


def sales_of(product, days, rng):
    """A long frame of one product."""
    t = np.arange(len(days))
    promotion = (rng.random(len(t) // 7 + 1) < 0.12).repeat(7)[: len(t)]
    week = 1 + 0.4 * rng.random() * np.sin(2 * np.pi * (t + rng.integers(7)) / 7)
    level = rng.lognormal(2.5, 0.8) * np.exp(np.cumsum(rng.normal(0, 0.006, len(t))))
    sold = rng.poisson(level * week * np.where(promotion, 1.7, 1.0)).astype(float)
    return pd.DataFrame({"product": product, "day": days, "sold": sold, "promotion": promotion.astype(int)})


rng = np.random.default_rng(0)
days = pd.date_range("2024-01-01", periods=12 * 28, name="day")
sales = pd.concat([sales_of(f"P{i:02d}", days, rng) for i in range(60)], ignore_index=True)
past, ahead = sales[sales["day"] < days[-28]], sales[sales["day"] >= days[-28]]
print(past.tail(3).to_string(index=False))

# %% [markdown]
"""
## Look at the data

Three products, with their promotions shaded. Weeks and promotions show; so does that small
numbers are noisy.
"""

# %%
figure, axes = plt.subplots(3, 1, figsize=(9, 5), sharex=True, layout="constrained")
for ax, product in zip(axes, ("P02", "P07", "P21"), strict=True):
    rows = past[past["product"] == product].tail(120)
    ax.plot(rows["day"], rows["sold"], color="0.25", lw=1)
    ax.fill_between(rows["day"], 0, rows["sold"].max(), where=rows["promotion"] > 0, alpha=0.2)
    ax.set_title(product, loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)

# %% [markdown]
"""
## A baseline

Last week, four times over. WAPE is what is wrong in all, as a fraction of what is sold in all.
"""


# %%
def wape(forecast):
    """Weighted absolute percentage error over all products and days."""
    return np.abs(np.asarray(forecast) - ahead["sold"].to_numpy()).sum() / ahead["sold"].sum()


last_weeks = past.groupby("product").tail(7)["sold"].to_numpy().reshape(60, 7)
print(f"last week repeated: WAPE {wape(np.tile(last_weeks, 4).ravel()):.3f}")

# %% [markdown]
"""
## Without training

The package brings a forecaster trained on made series of many kinds. `max_steps=0` uses it as
it is: it reads the history and forecasts, in a second for all products. It has seen sales only,
and no promotions.
"""

# %%
names = {"id_col": "product", "time_col": "day", "target_cols": "sold"}
plain = TransformerForecaster(horizon=28, max_steps=0, **names).fit(past.drop(columns="promotion"))
forecast = plain.predict(level=80)
print(f"without training: WAPE {wape(forecast['sold']):.3f}")

# %% [markdown]
"""
## With promotions

`future_cols` names what is known ahead. That has to be learnt from these products, so `fit`
trains, here for 100 steps, on one core for ten seconds or so.
"""

# %%
forecaster = TransformerForecaster(horizon=28, future_cols="promotion", max_steps=100, random_state=0, **names).fit(
    past
)
forecast = forecaster.predict(future=ahead, level=80)
print(f"with promotions: WAPE {wape(forecast['sold']):.3f}")

# %% [markdown]
"""
## The check

Of the truths, eight in ten should lie in the 80 % band. One cut in time is one trial: before
you trust such numbers, take several, with `forecaster.backtest(past, n_windows=4, refit=True)`,
and score them with `tsformer.metrics.evaluate`.
"""

# %%
covered = interval_coverage(ahead, forecast, level=80, **names)
print(f"80 % bands hold {covered:.0%} of what was sold")

# %% [markdown]
"""
The first twelve products of 60. `page=2` has the next twelve.
"""

# %%
display = ForecastDisplay.from_estimator(forecaster, future=ahead, level=80, n_history=56)

# %% [markdown]
"""
## What a promotion does

The same four weeks, with a promotion on every day and with none. What is forecast with the
other rows is drawn dashed, and `predict` gives the numbers. The truth is 1.7.
"""

# %%
never, always = (ahead.assign(promotion=each) for each in (0, 1))
display = ForecastDisplay.from_estimator(
    forecaster, future=never, other_future=always, level=80, series=["P02", "P07"], n_history=56
)
ratio = forecaster.predict(future=always)["sold"] / forecaster.predict(future=never)["sold"]
print(f"sold with a promotion, as a multiple: {ratio.median():.2f}")

# %% [markdown]
"""
## What it cannot do

- It learns that promotions and sales go together, not why. If promotions had always been in
  December, it could not tell the two apart.
- A stock that ran out looks like no demand. Mark such days as missing (NaN), not as 0.
- A product that sells once a month, or that is new, gives it little to go by. Look at the bands.
"""
