"""The verbs: plan, fetch, translate, judge, land. The only floor that talks to a source and to the store."""
