"""The search: strategies that make scenarios, a swarm that runs them, and what was found and covered."""
