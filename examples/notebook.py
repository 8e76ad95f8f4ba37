# %% [markdown]
# A notebook as a script: each `# %%` is a cell. Editors open it as a notebook, where futures, states and flows show
# themselves as small tables.
#
#     python examples/notebook.py                                 here and now
#     PODTASK_BACKEND=kubernetes python examples/notebook.py      a pod per task

# %%
from podtask import flow, ref, task, task_input_hash

# %% [markdown]
# Run a cell again after a change: with a cache key, only what changed is computed again.


# %%
@task(cache_key_fn=task_input_hash)
def load(days: int) -> list[float]:
    print(f"loading {days} days")
    return [20 + day % 7 - day % 3 for day in range(days)]


@task(cache_key_fn=task_input_hash)
def smooth(values: list[float], width: int) -> list[float]:
    return [sum(values[i : i + width]) / width for i in range(len(values) - width + 1)]


# %%
@flow
def temperatures(days: int = 30, width: int = 7) -> list[float]:
    return smooth(ref(load(days)), width).result()


curve = temperatures()

# %%
print(f"{len(curve)} values, highest {max(curve):.2f}")
