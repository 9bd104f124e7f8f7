"""The Faust app: one thin agent for each stage, and the wiring of stages to tables, topics and engine.

This room decides nothing about markets and nothing about transactions. It decodes, hands a record to its stage, and
sends what the stage returns.
"""
